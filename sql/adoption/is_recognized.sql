-- Whether a table of the replaced application's name has the columns of that application's.
create or replace function :own.is_recognized(p_table text)
returns boolean
language sql stable
set search_path from current
as $$
    select case p_table
        when 'facebook_pages' then array['id', 'facebook_page_id']
        when 'messenger_conversations' then array['id', 'page_id', 'sender_id']
        when 'contact_interaction_events'
            then array['id', 'conversation_id', 'event_type', 'event_timestamp']
        when 'sync_state' then array['page_id', 'last_cursor', 'total_synced', 'sync_session_id']
        else array['page_id', 'locked_by', 'locked_at', 'expires_at'] end
    <@ array(select attname::text from pg_attribute
             where attrelid = to_regclass(format(':data.%I', p_table)) and attnum > 0
               and not attisdropped)
$$;

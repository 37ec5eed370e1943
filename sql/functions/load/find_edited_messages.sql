-- Returns the keys of those messages in p_conversations that are edited or unsent, by events of
-- this call or of earlier ones; NULL if there are none.
create or replace function :own.find_edited_messages(p_page_id text, p_conversations jsonb)
returns text[]
language plpgsql
set search_path from current
as $$
begin
    -- On most pages no message ever was.
    if not exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and e.event_type in ('edit', 'unsend'))
    then
        return null;
    end if;
    return (
        select array_agg(m.message_key)
        from unnest(list_message_keys(p_conversations)) as m (message_key)
        -- Not `exists`, which may become a join: that reads all changes of the page.
        where (
            select true from contact_interaction_events s
            where s.page_id = p_page_id and s.message_id is not null
              and message_key(s.message_id) = m.message_key
              and s.event_type in ('edit', 'unsend')
            limit 1));
end
$$;

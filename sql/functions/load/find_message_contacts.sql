-- Returns the contacts in whose conversations these messages are stored, by message key.
create or replace function :own.find_message_contacts(p_page_id text, p_message_ids text[])
returns table (message_key text, sender_id text)
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- see merge_conversations
set jit = off
as $$
    select stored.message_key, c.sender_id
    from unnest(p_message_ids) as m (message_id)
    cross join lateral (
        select message_key(e.message_id) as message_key, e.conversation_id
        from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and message_key(e.message_id) = message_key(m.message_id)
          and event_kind(e.event_type) = 'message' and e.discriminator = ''
        limit 1
    ) stored
    join messenger_conversations c on c.id = stored.conversation_id
$$;

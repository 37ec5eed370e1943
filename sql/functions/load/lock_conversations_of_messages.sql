-- Locks the conversations that hold events of these messages, besides those in p_held. A message
-- may be stored in another contact's conversation (several contacts wrote in one thread), and so
-- may the message that an edit belongs to. Every writer of events first locks their conversation.
create or replace function :own.lock_conversations_of_messages(
    p_page_id text, p_message_keys text[], p_held :conversation_id_type[]
) returns void
language plpgsql
set search_path from current
as $$
begin
    perform from messenger_conversations c
    where c.id in (
        select stored.conversation_id
        from unnest(p_message_keys) as m (message_key)
        cross join lateral (
            select s.conversation_id from contact_interaction_events s
            where s.page_id = p_page_id and s.message_id is not null
              and message_key(s.message_id) = m.message_key
            limit 1000  -- forces a lookup per message instead of a scan of the page's events
        ) stored
        where stored.conversation_id <> all (p_held))
    order by c.sender_id collate "C" for no key update;
end
$$;

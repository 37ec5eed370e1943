-- Returns the events that name one of these messages and are in another conversation than it.
create or replace function :own.find_misplaced_events(p_page_id text, p_message_keys text[])
returns table (
    id :event_id_type, message_key text, conversation_id :conversation_id_type,
    message_conversation_id :conversation_id_type
)
language sql stable
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    select named.id, k.message_key, named.conversation_id, message.conversation_id
    from unnest(p_message_keys) as k (message_key)
    cross join lateral (
        select e.id, e.conversation_id from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and message_key(e.message_id) = k.message_key and event_kind(e.event_type) <> 'message'
        limit 1000  -- forces a lookup per message instead of a scan of the page's events
    ) named
    cross join lateral (
        select e.conversation_id from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and message_key(e.message_id) = k.message_key and event_kind(e.event_type) = 'message'
          and e.discriminator = ''
        limit 1
    ) message
    where named.conversation_id <> message.conversation_id
$$;

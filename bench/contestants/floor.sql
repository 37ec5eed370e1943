-- Loads the threads of one response into conversations and their events. The arbiter index of the
-- conflict is named, so that no other index is searched first. The statement does not see its own
-- conversations: new ids come from `written`, old ones from the table.
with threads as materialized (
    select (select p ->> 'id' from jsonb_array_elements(t.participants -> 'data') p
            where p ->> 'id' <> %(page_id)s limit 1) as sender_id,
           (select p ->> 'name' from jsonb_array_elements(t.participants -> 'data') p
            where p ->> 'id' <> %(page_id)s limit 1) as sender_name,
           t.message_count, t.messages -> 'data' as messages
    from jsonb_to_recordset(%(response)s::jsonb -> 'data') as t (
        participants jsonb, message_count integer, messages jsonb)
), written as (
    insert into messenger_conversations as c
        (page_id, sender_id, sender_name, last_message, last_message_time, message_count)
    select %(page_id)s, sender_id, sender_name, messages -> 0 ->> 'message',
           (messages -> 0 ->> 'created_time')::timestamptz, message_count
    from threads
    on conflict (page_id, sender_id) do update
        set sender_name = excluded.sender_name, last_message = excluded.last_message,
            last_message_time = excluded.last_message_time,
            message_count = excluded.message_count, version = c.version + 1, updated_at = now()
        where excluded.last_message_time >= c.last_message_time
          and (excluded.sender_name, excluded.last_message, excluded.last_message_time,
               excluded.message_count) is distinct from
              (c.sender_name, c.last_message, c.last_message_time, c.message_count)
    returning c.id, c.sender_id
), known as (
    select id, sender_id from written
    union
    select c.id, t.sender_id
    from threads t
    cross join lateral (
        select id from messenger_conversations
        where page_id = %(page_id)s and sender_id = t.sender_id
        limit 1
    ) c
)
insert into contact_interaction_events
    (conversation_id, page_id, event_type, event_timestamp, message_id, as_of, metadata)
select k.id, %(page_id)s,
       case when m."from" ->> 'id' = %(page_id)s then 'message_sent' else 'message_received' end,
       m.created_time, m.id, now(),
       jsonb_strip_nulls(jsonb_build_object(
           'source', 'initial_sync', 'message_id', m.id, 'text', m.message,
           'attachments', m.attachments -> 'data'))
from threads t
join known k using (sender_id)
cross join lateral jsonb_to_recordset(t.messages) as m (
    id text, created_time timestamptz, "from" jsonb, message text, attachments jsonb)
on conflict (
    page_id, (messenger_pipeline.message_key(message_id)),
    (messenger_pipeline.event_kind(event_type)), discriminator
) where message_id is not null do nothing

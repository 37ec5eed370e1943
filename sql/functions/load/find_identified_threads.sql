-- Returns the threads whose contact has no id yet, and the ids that p_conversations and what is stored
-- show: one message is in the thread's conversation and in the contact's.
create or replace function :own.find_identified_threads(p_page_id text, p_conversations jsonb)
returns table (thread_id text, sender_id text)
language sql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    with stated as materialized (
        select i.sender_id, coalesce(i.thread_id, i.sender_id) as thread_id, stored.conversation_id
        from jsonb_to_recordset(p_conversations)
            as i (sender_id text, thread_id text, events jsonb)
        cross join lateral jsonb_to_recordset(i.events) as e (event_type text, message_id text)
        cross join lateral (
            select s.conversation_id from contact_interaction_events s
            where s.page_id = p_page_id and s.message_id is not null
              and message_key(s.message_id) = message_key(e.message_id)
              and event_kind(s.event_type) = 'message' and s.discriminator = ''
            limit 1
        ) stored
        where e.message_id is not null and event_kind(e.event_type) = 'message'
    )
    select s.thread_id, c.sender_id
    from stated s
    cross join lateral (
        select o.sender_id from messenger_conversations o where o.id = s.conversation_id offset 0
    ) c
    cross join lateral (
        select t.sender_id from contactless_threads t
        where t.page_id = p_page_id and t.thread_id = s.thread_id
        offset 0  -- forces a lookup per thread, as in the joins around it
    ) t
    where t.sender_id is null and c.sender_id <> s.thread_id
    union
    select c.sender_id, s.sender_id
    from stated s
    cross join lateral (
        select o.sender_id from messenger_conversations o where o.id = s.conversation_id offset 0
    ) c
    cross join lateral (
        select t.sender_id from contactless_threads t
        where t.page_id = p_page_id and t.thread_id = c.sender_id offset 0
    ) t
    where t.sender_id is null and s.sender_id <> c.sender_id
    union
    select i.thread_id, m.sender_id
    from jsonb_to_recordset(p_conversations) as i (thread_id text)
    cross join lateral (
        select t.sender_id from contactless_threads t
        where t.page_id = p_page_id and t.thread_id = i.thread_id offset 0
    ) t
    cross join lateral (
        select o.sender_id from messenger_threads o
        where o.page_id = p_page_id and o.thread_id = i.thread_id offset 0
    ) m
    where t.sender_id is null and m.sender_id <> i.thread_id
$$;

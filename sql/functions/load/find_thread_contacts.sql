-- Returns p_conversations with the contacts of threads whose contact has no id: see
-- contactless_threads. A row of such a thread has a thread_id, and that as its sender_id. If the
-- contact's id is known, by an earlier answer or by a webhook of one of the messages, the row becomes
-- the contact's; and if a row shows the id of a thread that is stored already, the thread's
-- conversation does. So the rows are the same whichever comes first.
create or replace function :own.find_thread_contacts(p_page_id text, p_conversations jsonb)
returns jsonb
language plpgsql
set search_path from current
as $$
declare
    v_has_threads boolean := jsonb_path_exists(p_conversations, '$[*].thread_id');
begin
    if not v_has_threads and not exists (
        select from contactless_threads t where t.page_id = p_page_id)
    then
        return p_conversations;
    end if;
    insert into contactless_threads (page_id, thread_id)
    select p_page_id, i.thread_id
    from jsonb_to_recordset(p_conversations) as i (thread_id text, sender_id text, events jsonb)
    where i.thread_id = i.sender_id and jsonb_array_length(i.events) > 0
    order by i.thread_id collate "C"
    on conflict do nothing;
    -- Somebody else may be about to record the contact of such a thread, and to move its events: what
    -- is written to the thread's conversation meanwhile would stay behind.
    perform from contactless_threads t
    where t.page_id = p_page_id and t.thread_id in (
        select coalesce(i.thread_id, i.sender_id)
        from jsonb_to_recordset(p_conversations) as i (thread_id text, sender_id text))
    order by t.thread_id for no key update;
    if exists (
        select from contactless_threads t where t.page_id = p_page_id and t.sender_id is null)
    then
        perform identify_thread_contact(p_page_id, f.thread_id, min(f.sender_id))
        from find_identified_threads(p_page_id, p_conversations) f
        group by f.thread_id
        order by f.thread_id collate "C";
    end if;
    -- A webhook's row of such a thread has its id only as the sender_id.
    if not v_has_threads and not exists (
        select from jsonb_to_recordset(p_conversations) as i (sender_id text)
        cross join lateral (
            select from contactless_threads t
            where t.page_id = p_page_id and t.thread_id = i.sender_id and t.sender_id is not null
            limit 1) t)
    then
        return p_conversations;
    end if;
    return (
        select jsonb_agg(joined.conversation order by joined.sender_id collate "C")
        from (
            select r.sender_id, jsonb_build_object(
                'sender_id', r.sender_id,
                'sender_name', (array_agg(r.sender_name order by r.as_of desc, r.sender_name
                                          collate "C" desc)
                                filter (where r.sender_name is not null))[1],
                'as_of', max(r.as_of),
                'events', jsonb_path_query_array(jsonb_agg(r.events), '$[*][*]')) as conversation
            from (
                select coalesce(t.sender_id, i.sender_id) as sender_id, i.sender_name, i.as_of,
                       (select coalesce(jsonb_agg(jsonb_build_object('as_of', i.as_of) || e), '[]')
                        from jsonb_array_elements(i.events) as e) as events
                from jsonb_to_recordset(p_conversations) as i (
                    thread_id text, sender_id text, sender_name text, as_of timestamptz,
                    events jsonb)
                left join lateral (
                    select k.sender_id from contactless_threads k
                    where k.page_id = p_page_id
                      and k.thread_id = coalesce(i.thread_id, i.sender_id)
                    limit 1) t on true
            ) r
            group by r.sender_id
        ) joined);
end
$$;

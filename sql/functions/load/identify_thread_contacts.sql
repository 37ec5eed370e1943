-- Records the contacts of threads that had none, where an answer has the contact's id now.
--
-- p_threads: [{thread_id, sender_id}].
create or replace function :own.identify_thread_contacts(p_page_id text, p_threads jsonb)
returns void
language sql
set search_path from current
as $$
    select identify_thread_contact(p_page_id, n.thread_id, n.sender_id)
    from jsonb_to_recordset(p_threads) as n (thread_id text, sender_id text)
    cross join lateral (
        select from contactless_threads t
        where t.page_id = p_page_id and t.thread_id = n.thread_id and t.sender_id is null
        limit 1  -- forces a lookup per thread
    ) t
    where n.sender_id <> n.thread_id
    order by n.thread_id collate "C"
$$;

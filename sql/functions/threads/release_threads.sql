-- Takes back what begin_thread counted, for threads that a run leaves in good order.
create or replace function :own.release_threads(p_page_id text, p_thread_ids text[])
returns void
language sql security definer
set search_path from current
as $$
    update messenger_threads t set attempts = greatest(t.attempts - 1, 0)
    where t.page_id = p_page_id and t.thread_id = any (p_thread_ids)
$$;

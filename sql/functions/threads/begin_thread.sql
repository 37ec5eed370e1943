-- Counts a request for one thread, before the work: one that ends its process counts too. Returns how
-- many were begun before, since the thread was last loaded or set aside.
create or replace function :own.begin_thread(p_page_id text, p_thread_id text)
returns integer
language plpgsql security definer
set search_path from current
as $$
declare
    v_attempts integer;
begin
    -- A crash of the server can lose it only together with what was loaded since.
    perform set_config('synchronous_commit', 'off', true);
    update messenger_threads t set attempts = t.attempts + 1
    where t.page_id = p_page_id and t.thread_id = p_thread_id
    returning t.attempts - 1 into v_attempts;
    return coalesce(v_attempts, 0);
end
$$;

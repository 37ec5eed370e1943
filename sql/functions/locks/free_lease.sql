-- Frees a lease whose run Dagster has ended, although a process still renews it, and leaves a trace
-- for the alert lease_of_ended_run. Returns whether p_locked_by held it. That process can no longer
-- write: its fencing token is gone, and the next holder takes a greater one.
--
-- p_run_status: the run's status in Dagster; UNKNOWN: Dagster has no such run.
create or replace function :own.free_lease(
    p_page_id text, p_locked_by text, p_run_status text, p_run_ended_at timestamptz
) returns boolean
language plpgsql security definer
set search_path from current
as $$
begin
    perform commit_durably();
    delete from sync_locks where page_id = p_page_id and locked_by = p_locked_by;
    if not found then
        return false;
    end if;
    insert into freed_leases as f (page_id, run_id, run_status, run_ended_at)
    values (p_page_id, p_locked_by, p_run_status, p_run_ended_at)
    on conflict (page_id) do update
        set run_id = excluded.run_id, run_status = excluded.run_status,
            run_ended_at = excluded.run_ended_at, freed_at = now();
    return true;
end
$$;

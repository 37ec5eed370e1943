-- Returns the leases that were not released. One that expired a while ago belongs to a dead run.
--
-- idle_since: the last sign that the holder works: it took the lease, loaded something, or waits
--   for Meta until then.
create or replace function :own.list_leases()
returns table (
    page_id text, locked_by text, expires_at timestamptz, idle_since timestamptz
)
language sql stable security definer
set search_path from current
as $$
    select l.page_id, l.locked_by, l.expires_at,
           greatest(l.locked_at, max(s.updated_at), max(s.waiting_until))
    from sync_locks l
    left join sync_state s on s.page_id = l.page_id and s.outcome is null and s.run_id = l.locked_by
    group by l.page_id
$$;

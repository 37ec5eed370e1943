-- Leases that ran out p_grace_seconds ago and were never released: their runs are dead.
create or replace function list_expired_leases(p_grace_seconds integer)
returns table (page_id text, locked_by text, expires_at timestamptz)
language sql stable
set search_path from current
as $$
    select page_id, locked_by, expires_at from sync_locks
    where expires_at < clock_timestamp() - make_interval(secs => p_grace_seconds)
$$;

-- Returns the leases that were not released. One that expired a while ago belongs to a dead run.
create or replace function :own.list_leases()
returns table (page_id text, locked_by text, expires_at timestamptz)
language sql stable
set search_path from current
as $$
    select page_id, locked_by, expires_at from sync_locks
$$;

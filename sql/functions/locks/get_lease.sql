-- Returns the holder of the lease on walking a page; no row if it is free.
create or replace function :own.get_lease(p_page_id text)
returns table (locked_by text, locked_at timestamptz, expires_at timestamptz)
language sql stable security definer
set search_path from current
as $$
    select locked_by, locked_at, expires_at from sync_locks
    where page_id = p_page_id and expires_at > clock_timestamp()
$$;

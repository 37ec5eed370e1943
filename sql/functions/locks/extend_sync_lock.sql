-- Extends the lease to p_duration seconds from now. Returns whether p_locked_by holds it. An
-- expired lease that no other run has taken is still held.
create or replace function :data.extend_sync_lock(
    p_page_id text, p_locked_by text, p_duration integer default 300
) returns boolean
language plpgsql security definer
set search_path from current
as $$
begin
    update sync_locks
    set expires_at = clock_timestamp() + make_interval(secs => p_duration)
    where page_id = p_page_id and locked_by = p_locked_by;
    return found;
end
$$;

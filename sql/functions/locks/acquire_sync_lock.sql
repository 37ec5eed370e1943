-- Takes the lease on walking a page for p_duration seconds. Returns whether p_locked_by holds it
-- now.
create or replace function :data.acquire_sync_lock(
    p_page_id text, p_locked_by text, p_duration integer default 300
) returns boolean
language plpgsql security definer
set search_path from current
as $$
begin
    return take_lease(p_page_id, p_locked_by, p_duration) is not null;
end
$$;

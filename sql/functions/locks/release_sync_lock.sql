-- Releases the lease. Returns whether p_locked_by held it.
create or replace function :data.release_sync_lock(p_page_id text, p_locked_by text)
returns boolean
language plpgsql security definer
set search_path from current
as $$
begin
    perform commit_durably();
    delete from sync_locks where page_id = p_page_id and locked_by = p_locked_by;
    return found;
end
$$;

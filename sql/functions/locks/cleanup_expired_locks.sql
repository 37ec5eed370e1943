-- Deletes the expired leases. Returns their number.
create or replace function :data.cleanup_expired_locks()
returns integer
language sql security definer
set search_path from current
as $$
    with gone as (
        delete from sync_locks where expires_at <= clock_timestamp() returning page_id
    )
    select count(*)::integer from gone
$$;

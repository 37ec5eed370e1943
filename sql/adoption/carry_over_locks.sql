-- A sync of the replaced application that is under way holds the lease of its page until it ends or
-- expires.
create or replace function :own.carry_over_locks()
returns void
language plpgsql
set search_path from current
as $$
begin
    if to_regclass(':own.replaced_sync_locks') is null then
        return;
    end if;
    insert into sync_locks (page_id, locked_by, locked_at, expires_at, token)
    select distinct on (1) account_of(l.page_id::text), l.locked_by::text,
           coalesce(l.locked_at, now()), l.expires_at, 0
    from replaced_sync_locks l
    where l.expires_at > clock_timestamp() and l.expires_at < clock_timestamp() + interval '1 day'
    order by 1, l.expires_at desc
    on conflict do nothing;
    update sync_locks set token = nextval('sync_lock_token') where token = 0;
end
$$;

-- Returns the leases that keep a page from being synced although nothing happens: those that
-- expired more than p_expired ago and were never released, and those that a run keeps renewing
-- although it has loaded nothing for p_idle and does not wait for Meta. all_stuck is the number of
-- all of them.
create or replace function :own.list_stuck_leases(
    p_expired interval, p_idle interval, p_limit integer default 20
) returns table (
    page_id text, locked_by text, locked_at timestamptz, expires_at timestamptz, reason text,
    all_stuck bigint
)
language sql stable security definer
set search_path from current
as $$
    with judged as (
        select l.page_id, l.locked_by, l.locked_at, l.expires_at,
               case
                   when l.expires_at < clock_timestamp() - p_expired
                       then 'expired and was never released'
                   when l.expires_at > clock_timestamp()
                        and l.locked_at < clock_timestamp() - p_idle
                        and coalesce(s.updated_at < clock_timestamp() - p_idle, true)
                        and coalesce(s.waiting_until < clock_timestamp(), true)
                       then 'still renewed, but its run loads nothing'
               end as reason
        from sync_locks l
        left join lateral (
            select s.updated_at, s.waiting_until from sync_state s
            where s.page_id = l.page_id and s.outcome is null and s.run_id = l.locked_by
            order by s.updated_at desc limit 1
        ) s on true
    )
    select page_id, locked_by, locked_at, expires_at, reason, count(*) over ()
    from judged
    where reason is not null
    order by locked_at
    limit p_limit
$$;

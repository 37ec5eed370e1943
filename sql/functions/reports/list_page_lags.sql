-- How far behind the active pages are, the worst first: the time since the last completed sync
-- began (of a page that has none: since it was registered) against the page's own interval.
--
-- stale: more than p_intervals of its intervals, and more than p_least. A page whose first walk
-- loaded something within p_least is new, not stale. all_stale counts them all.
create or replace function :own.list_page_lags(
    p_intervals double precision, p_least interval, p_limit integer default 20
) returns table (
    page_id text, name text, lag_seconds double precision, interval_seconds double precision,
    stale boolean, last_error text, all_stale bigint, pages bigint
)
language sql stable
set search_path from current
as $$
    with lags as (
        select p.facebook_page_id as page_id, p.name, p.sync_interval,
               now() - coalesce(greatest(p.last_synced_at, done.started_at), p.created_at) as lag,
               done.started_at is null and p.last_synced_at is null
                   and coalesce(open.updated_at > now() - p_least, false) as in_first_walk,
               open.last_error
        from facebook_pages p
        -- Beside a full walk incremental ones complete, which last_synced_at does not show.
        left join lateral (
            select s.started_at from sync_state s
            where s.page_id = p.facebook_page_id and s.outcome = 'completed'
            order by s.started_at desc limit 1
        ) done on true
        left join lateral (
            select max(s.updated_at) as updated_at, max(s.last_error) as last_error
            from sync_state s
            where s.page_id = p.facebook_page_id and s.outcome is null
        ) open on true
        where p.status = 'active'
    ), judged as (
        select *, lag > greatest(p_least, sync_interval * p_intervals) and not in_first_walk as stale
        from lags
    )
    select page_id, name, extract(epoch from lag)::double precision,
           extract(epoch from sync_interval)::double precision, stale, last_error,
           count(*) filter (where stale) over (), count(*) over ()
    from judged
    order by stale desc, extract(epoch from lag) / greatest(extract(epoch from sync_interval), 1) desc
    limit p_limit
$$;

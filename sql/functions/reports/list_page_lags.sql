-- Returns how far behind the active pages are, relative to their sync interval, the worst first.
-- The lag is the time since the start of the last completed sync, or since registration if there is
-- none.
--
-- stale: the lag is more than p_intervals of the page's intervals, and more than p_least. A page
--   whose first walk loaded something within p_least is not stale.
-- all_stale: the number of stale pages, whether returned or not.
create or replace function :own.list_page_lags(
    p_intervals double precision, p_least interval, p_limit integer default 20
) returns table (
    page_id text, name text, lag_seconds double precision, interval_seconds double precision,
    stale boolean, last_error text, all_stale bigint, pages bigint
)
language sql stable security definer
set search_path from current
as $$
    with lags as (
        select p.facebook_page_id as page_id, p.name, p.sync_interval,
               now() - coalesce(greatest(p.last_synced_at, done.started_at), p.created_at) as lag,
               done.started_at is null and p.last_synced_at is null
                   and coalesce(open.updated_at > now() - p_least, false) as in_first_walk,
               open.last_error
        from facebook_pages p
        -- last_synced_at ignores the incremental syncs that complete during a full walk.
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
        select *,
               lag > greatest(p_least, sync_interval * p_intervals)
                   and not in_first_walk as stale
        from lags
    )
    select page_id, name, extract(epoch from lag)::double precision,
           extract(epoch from sync_interval)::double precision, stale, last_error,
           count(*) filter (where stale) over (), count(*) over ()
    from judged
    order by stale desc,
             extract(epoch from lag) / greatest(extract(epoch from sync_interval), 1) desc
    limit p_limit
$$;

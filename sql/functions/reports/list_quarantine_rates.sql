-- Returns for each page how many of the records that its sessions read were quarantined. It counts
-- the sessions that are open or ended within p_span. Pages with the most quarantined records come
-- first. all_read and all_quarantined are totals over all pages.
create or replace function :own.list_quarantine_rates(p_span interval, p_limit integer default 20)
returns table (
    page_id text, read bigint, quarantined bigint, all_read bigint, all_quarantined bigint
)
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- a lookup per page, not all sessions
set jit = off  -- a plan without what is off looks too expensive not to be compiled
as $$
    with pages as (
        select p.facebook_page_id as page_id, sum(s.read) as read, sum(s.quarantined) as quarantined
        from facebook_pages p
        cross join lateral (
            select r.total_synced + r.events_created + r.quarantined as read, r.quarantined
            from sync_state r
            -- Allows the index on started_at: a session lasts hours, not days.
            where r.page_id = p.facebook_page_id
              and r.started_at > now() - p_span - interval '1 day'
              and (r.outcome is null or r.ended_at > now() - p_span)
        ) s
        group by p.facebook_page_id
    )
    select page_id, read::bigint, quarantined::bigint,
           sum(read) over ()::bigint, sum(quarantined) over ()::bigint
    from pages
    order by quarantined desc, page_id
    limit p_limit
$$;

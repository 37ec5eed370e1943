-- Returns the pages with gaps: stretches of a thread's history that are still to be read (open), of
-- them those open for more than p_old (old), and those that Meta refuses for good (unreadable).
-- Pages with the most old gaps come first. all_old, all_open and all_unreadable are totals over all
-- pages.
create or replace function :own.list_page_gaps(p_old interval, p_limit integer default 20)
returns table (
    page_id text, old bigint, open bigint, unreadable bigint, oldest timestamptz, attempts integer,
    all_old bigint, all_open bigint, all_unreadable bigint
)
language sql stable security definer
set search_path from current
as $$
    with pages as (
        select page_id,
               count(*) filter (where not unreadable and opened_at < now() - p_old) as old,
               count(*) filter (where not unreadable) as open,
               count(*) filter (where unreadable) as unreadable,
               min(opened_at) filter (where not unreadable) as oldest,
               max(attempts) filter (where not unreadable) as attempts
        from thread_gaps
        group by page_id
    )
    select page_id, old, open, unreadable, oldest, attempts, sum(old) over ()::bigint,
           sum(open) over ()::bigint, sum(unreadable) over ()::bigint
    from pages
    order by old desc, open desc, unreadable desc, page_id
    limit p_limit
$$;

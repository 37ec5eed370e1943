-- Of each page the stretches of threads' history that are still to be read, and those that Meta
-- refuses for good. old: open for more than p_old. Most old ones first; all_old counts them all.
create or replace function :own.list_page_gaps(p_old interval, p_limit integer default 20)
returns table (
    page_id text, old bigint, open bigint, unreadable bigint, oldest timestamptz, attempts integer,
    all_old bigint, all_open bigint, all_unreadable bigint
)
language sql stable
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

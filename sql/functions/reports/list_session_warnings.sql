-- Returns the pages whose last completed session of a mode was truncated or has a warning, the
-- truncated ones first. The warning of a full session stands until the next full one: an
-- incremental session does not look at old threads. all_truncated and all_warned are totals.
create or replace function :own.list_session_warnings(p_limit integer default 20)
returns table (
    page_id text, truncated boolean, warning text, mode text, ended_at timestamptz,
    all_truncated bigint, all_warned bigint
)
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- a lookup per page, not all sessions
set jit = off  -- a plan without what is off looks too expensive not to be compiled
as $$
    with last as (
        select s.page_id, s.outcome = 'truncated' as truncated,
               coalesce(s.truncated, s.warning) as warning, s.mode, s.ended_at
        from facebook_pages p
        cross join (values ('full'), ('incremental')) as m (mode)
        cross join lateral (
            select * from sync_state o
            where o.page_id = p.facebook_page_id and o.mode = m.mode
              and o.outcome in ('completed', 'truncated')
            order by o.ended_at desc limit 1
        ) s
        where p.status <> 'removed' and (s.truncated is not null or s.warning is not null)
    )
    select page_id, truncated, warning, mode, ended_at,
           count(*) filter (where truncated) over (), count(*) filter (where not truncated) over ()
    from last
    order by truncated desc, ended_at desc
    limit p_limit
$$;

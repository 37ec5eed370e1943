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
as $$
    with last as (
        select s.page_id, s.outcome = 'truncated' as truncated,
               coalesce(s.truncated, s.warning) as warning, s.mode, s.ended_at
        from sync_state s
        join facebook_pages p on p.facebook_page_id = s.page_id and p.status <> 'removed'
        where s.outcome in ('completed', 'truncated')
          and (s.truncated is not null or s.warning is not null)
          and not exists (
              select from sync_state later
              where later.page_id = s.page_id and later.mode = s.mode
                and later.outcome in ('completed', 'truncated') and later.started_at > s.started_at)
    )
    select page_id, truncated, warning, mode, ended_at,
           count(*) filter (where truncated) over (), count(*) filter (where not truncated) over ()
    from last
    order by truncated desc, ended_at desc
    limit p_limit
$$;

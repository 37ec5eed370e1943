-- Returns the current figures of the registry's pages, Meta's quotas, open alerts and Dagster's
-- heartbeat, as rows for list_metrics.
create or replace function :own.get_page_figures()
returns table (metric text, labels text[], value double precision)
language sql stable
set search_path from current
as $$
    with active as (
        select p.sync_interval, now() - coalesce(
            case when p.last_synced_at > now() - p.sync_interval then p.last_synced_at
            -- last_synced_at ignores the incremental syncs that run during a full walk.
            else greatest(p.last_synced_at, (
                select max(newest.started_at)
                from (values ('full'), ('incremental')) as m (mode)
                cross join lateral (
                    select s.started_at from sync_state s
                    where s.page_id = p.facebook_page_id and s.mode = m.mode
                      and s.outcome in ('completed', 'truncated')
                    order by s.ended_at desc limit 1) newest)) end,
            p.created_at) as lag
        from facebook_pages p
        where p.status = 'active'
    ), scopes as (
        select k.scope,
               -- An old report no longer holds: see reserve_graph_call.
               coalesce(max(b.used_percent) filter (
                   where b.used_at > now() - interval '10 minutes'), 0) / 100.0 as used,
               count(*) filter (where b.blocked_until > now()) as paused
        from (values ('app'), ('token'), ('page')) as k (scope)
        -- A pause because Meta refuses the app is one of the app, too.
        left join graph_api_budget b
            on replace(split_part(b.scope, ':', 1), 'refused', 'app') = k.scope
        group by 1
    )
    select 'messenger_pages', array[k.status], count(p.id)
    from (values ('active'), ('paused'), ('needs_reauthorization'), ('removed')) as k (status)
    left join facebook_pages p on p.status = k.status
    group by k.status
    union all
    select 'messenger_pages_late', '{}', count(*) filter (where a.lag > 4 * a.sync_interval)
    from active a
    union all
    select 'messenger_page_lag_max_seconds', '{}', coalesce(extract(epoch from max(a.lag)), 0)
    from active a
    union all
    select 'messenger_graph_api_usage_ratio', array[s.scope], s.used from scopes s
    union all
    select 'messenger_graph_api_paused_scopes', array[s.scope], s.paused from scopes s
    union all
    select 'messenger_graph_api_pause_left_seconds', '{}',
           coalesce(extract(epoch from max(b.blocked_until) - now()), 0)
    from graph_api_budget b where b.blocked_until > now()
    union all
    select 'messenger_alerts_open', array[a.kind, a.severity], count(*)
    from alerts a where a.closed_at is null group by a.kind, a.severity
    union all
    select 'messenger_dagster_heartbeat_age_seconds', '{}',
           greatest(0, extract(epoch from now() - h.at))
    from heartbeats h where h.name = 'dagster'
$$;

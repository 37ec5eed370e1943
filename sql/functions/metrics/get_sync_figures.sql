-- Returns the totals of all pages' syncs since the beginning, and figures of the open ones, as rows
-- for list_metrics. Counters are sums over sync_totals, which keeps removed pages. Of open gaps and
-- quarantined records at most p_limit are counted.
create or replace function :own.get_sync_figures(p_limit bigint)
returns table (metric text, labels text[], value double precision)
language sql stable
set search_path from current
as $$
    with counted as (
        select 'messenger_sync_sessions_ended_total' as metric, c.key as label, c.value::bigint
        from sync_totals t cross join jsonb_each_text(t.sessions) as c
        union all
        select 'messenger_sync_runs_ended_total', c.key, c.value::bigint
        from sync_totals t cross join jsonb_each_text(t.runs) as c
        union all
        select 'messenger_sync_conversations_total', c.key, c.value::bigint
        from sync_totals t cross join jsonb_each_text(t.conversations) as c
        union all
        select 'messenger_graph_api_errors_total', c.key, c.value::bigint
        from sync_totals t cross join jsonb_each_text(t.api_errors) as c
        union all
        select 'messenger_sync_open_sessions', describe_sync_state(
                   s.outcome, l.expires_at > now() and s.run_id = l.locked_by, s.waiting_until,
                   r.id is not null,
                   case when s.parked_at is not null and p.status = 'active'
                       then 'parked' else p.status end,
                   s.not_before), 1
        from sync_state s
        left join facebook_pages p on p.facebook_page_id = s.page_id
        left join sync_locks l on l.page_id = s.page_id
        left join sync_requests r on r.sync_session_id = s.sync_session_id and r.ended_at is null
        where s.outcome is null
        union all
        -- Prometheus sees the first event as an increase only if the counter starts at 0.
        select z.metric, label, 0
        from (values
            ('messenger_sync_sessions_ended_total',
             array['full completed', 'full truncated', 'full superseded', 'incremental completed',
                   'incremental truncated']),
            ('messenger_sync_runs_ended_total', array['completed', 'partial', 'failed']),
            ('messenger_sync_conversations_total', array['inserted', 'updated', 'unchanged']),
            ('messenger_sync_open_sessions',
             array['running', 'rate_limited', 'requested', 'backing_off', 'resumable'])
        ) as z (metric, labels)
        cross join unnest(z.labels) as label
    )
    select c.metric,
           case when c.metric = 'messenger_sync_sessions_ended_total'
               then string_to_array(c.label, ' ') else array[c.label] end,
           sum(c.value)::double precision
    from counted c
    group by c.metric, c.label
    union all
    select m.metric, '{}', m.value
    from (
        select coalesce(sum(t.events_created), 0) as events,
               coalesce(sum(t.quarantined), 0) as quarantined,
               coalesce(sum(t.api_calls), 0) as calls, coalesce(sum(t.waited_seconds), 0) as waited
        from sync_totals t
    ) s
    cross join lateral (values
        ('messenger_sync_events_created_total', s.events::double precision),
        ('messenger_sync_records_quarantined_total', s.quarantined),
        ('messenger_graph_api_calls_total', s.calls),
        ('messenger_graph_api_waited_seconds_total', s.waited)
    ) as m (metric, value)
    union all
    select 'messenger_sync_requests_waiting', '{}', count(*)
    from sync_requests where ended_at is null
    union all
    select 'messenger_thread_gaps_open', '{}', count(*)
    from (select from thread_gaps where not unreadable limit p_limit) g
    union all
    select 'messenger_quarantined_records', '{}', count(*)
    from (select from quarantined_records where resolved_at is null limit p_limit) q
$$;

-- Returns the pages whose owner must act and the pages that are overdue for a sync.
create or replace function :own.find_page_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
as $$
    with dagster as (
        select max(at) as at, max(since) filter (where at > now() - interval '3 minutes') as since
        from heartbeats where name = 'dagster'
    ), stale as (
        select p.facebook_page_id as page_id, p.name, p.sync_interval, greatest(
                p.last_synced_at, p.updated_at,
                -- last_synced_at ignores the incremental syncs that run during a full walk.
                (select max(s.ended_at) from sync_state s
                 where s.page_id = p.facebook_page_id and s.outcome in ('completed', 'truncated')
                   and s.ended_at > now() - t.threshold),
                (select s.updated_at from sync_state s
                 where s.page_id = p.facebook_page_id and s.outcome is null and s.mode = 'full'),
                -- After an outage Dagster needs time to catch up.
                (select since from dagster)) as moved_at,
            t.threshold
        from facebook_pages p
        cross join lateral (
            select greatest(4 * p.sync_interval, interval '30 minutes') as threshold) t
        where p.status = 'active'
          and greatest(p.last_synced_at, p.updated_at) < now() - t.threshold
    )
    select 'page_needs_reauthorization', p.facebook_page_id, 'error',
           format('%s needs re-authorization and is not synced until then: %s. Add a new token with'
                  ' `messenger-pipeline pages add %s`.',
                  describe_page(p.facebook_page_id, p.name),
                  coalesce(rtrim(p.status_reason, '.'), 'the reason is unknown'),
                  p.facebook_page_id),
           jsonb_build_object('reason', p.status_reason)
    from facebook_pages p
    where p.status = 'needs_reauthorization'
    union all
    -- While the page waits for Meta's limit this is a warning: it resumes without help.
    select 'page_stale', s.page_id,
           case when d.since is not null and w.waiting_for is not null
               then 'warning' else 'error' end,
           format('%s has not been synced since %s; its sync interval is %s. %s',
                  describe_page(s.page_id, s.name), as_utc(s.moved_at), s.sync_interval,
                  case
                      when d.at is null
                          then 'Is Dagster running? Its daemon has never sent a heartbeat.'
                      when d.since is null then format(
                          'Dagster seems to be down: its daemon sent its last heartbeat at %s.'
                          ' Start Dagster.',
                          as_utc(d.at))
                      when w.waiting_for is not null then format(
                          'No action is needed: the sync resumes at %s. It waits for Meta: %s',
                          as_utc(w.not_before), w.waiting_for)
                      else 'Dagster is running: check its run queue and the page''s last runs.'
                  end),
           jsonb_build_object('synced_at', s.moved_at)
    from stale s cross join dagster d
    left join lateral (
        select o.waiting_for, o.not_before from sync_state o
        where o.page_id = s.page_id and o.outcome is null
          and o.waiting_for is not null and o.not_before > now()
        order by o.not_before desc limit 1) w on true
    where s.moved_at < now() - s.threshold
$$;

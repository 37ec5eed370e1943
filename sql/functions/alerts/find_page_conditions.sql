-- Returns the pages whose owner must act, the pages that Meta restricts, the pages that are overdue for
-- a sync, and the app if Meta refuses it: then no page counts as overdue.
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
                -- After an outage Dagster needs time to catch up, also after one of the app.
                (select since from dagster),
                (select max(answered_at) from app_refusals)) as moved_at,
            t.threshold
        from facebook_pages p
        cross join lateral (
            select greatest(4 * p.sync_interval, interval '30 minutes') as threshold) t
        where p.status = 'active'
          and greatest(p.last_synced_at, p.updated_at) < now() - t.threshold
          and not exists (select from app_refusals where answered_at is null)
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
    select 'app_refused', null, 'error',
           format('Meta refuses the app''s calls: %s met the same error since %s. %s. No page was'
                  ' switched off. %s active %s, and none of them is synced meanwhile: calls are paused and'
                  ' tried again%s, more and more rarely, up to an hour apart. Check in Meta''s app'
                  ' dashboard whether the app was removed, blocked or lost a permission, and'
                  ' whether one owner authorized all of these pages.',
                  case when a.pages = 1 then '1 page'
                       else to_char(a.pages, 'FM999,999,999,999') || ' pages' end,
                  as_utc(a.since), rtrim(a.reason, '. '),
                  case when p.pages = 1 then 'There is 1' else
                      'There are ' || to_char(p.pages, 'FM999,999,999,999') end,
                  case when p.pages = 1 then 'page' else 'pages' end,
                  coalesce(' at ' || as_utc(b.blocked_until), '')),
           jsonb_build_object('app_id', a.app_id, 'error', a.error, 'pages', a.pages,
                              'active_pages', p.pages, 'since', a.since)
    from app_refusals a
    left join graph_api_budget b on b.scope = 'refused:' || a.app_id
    cross join (select count(*) as pages from facebook_pages where status = 'active') p
    where a.answered_at is null and p.pages > 0
    union all
    select 'page_terms_not_accepted', r.page_id, 'error',
           format('An admin of %s has to accept Meta''s Page Contact Terms, on the page''s own'
                  ' account. The page is not synced until then, and without further steps after'
                  ' it: it is tried again every hour. Its token stays valid. Meta''s error: %s',
                  describe_page(r.page_id, p.name), r.reason),
           jsonb_build_object('since', r.first_at, 'reason', r.reason)
    from page_refusals r
    join facebook_pages p on p.facebook_page_id = r.page_id and p.status = 'active'
    where r.error = 'terms'
    union all
    -- Nothing shows when it ends.
    select 'page_restricted', r.page_id, 'warning',
           format('Meta restricts %s from sending messages for a time. It does not restrict'
                  ' reading; a sync that meets the error is tried again. See the page''s support'
                  ' inbox at Meta. Meta''s error: %s',
                  describe_page(r.page_id, p.name), r.reason),
           jsonb_build_object('since', r.first_at, 'last_at', r.last_at, 'reason', r.reason)
    from page_refusals r
    join facebook_pages p on p.facebook_page_id = r.page_id and p.status = 'active'
    where r.error = 'sending' and r.last_at > now() - interval '1 day'
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

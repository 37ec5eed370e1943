-- Returns an overdue inbox, drains that fail, deliveries that are refused again and again, and the
-- pages from which no webhooks arrive although by this time of day there always were some.
create or replace function :own.find_webhook_conditions(p_now timestamptz default now())
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
    with quiet as (
        select p.facebook_page_id as page_id, p.name, newest.last_at,
               count_expected_webhooks(
                   p.facebook_page_id, oldest.first_at, newest.last_at, p_now, p.time_zone, 5
               ) as usual
        from facebook_pages p
        cross join lateral (
            select h.last_at from webhook_hourly_counts h
            where h.page_id = p.facebook_page_id order by h.hour desc limit 1) newest
        cross join lateral (
            select h.first_at from webhook_hourly_counts h
            where h.page_id = p.facebook_page_id order by h.hour limit 1) oldest
        where p.status = 'active' and newest.last_at <= p_now - interval '30 minutes'
          and oldest.first_at <= p_now - interval '1 day'
        offset 0 -- evaluates the count once a page
    ), late as (
        select min(i.not_before) as since from webhook_inbox i
        where i.state = 'pending' and i.not_before <= p_now
    ), failing as (
        select min(d.since) as since, sum(d.failures) as failures,
               string_agg(d.name, ', ' order by d.name) as names, min(d.error) as error
        from list_failing_drains() d
    ), refused as (
        select count(*) as deliveries, min(i.received_at) as since, max(i.last_error) as error
        from (select o.received_at, o.last_error from webhook_inbox o
              where o.state = 'pending' and o.not_before > p_now and o.attempts >= 5
              limit 1000) i
    )
    select 'webhooks_missing', q.page_id, 'warning',
           format('%s has sent no webhook since %s. At the same time of other days or weeks there'
                  ' were at least %s by now. Check the subscription in your Meta app, the receiver,'
                  ' and the proxy in front of it. Until then syncs load new messages, but late.',
                  describe_page(q.page_id, q.name), as_utc(q.last_at),
                  to_char(floor(q.usual), 'FM999,999,999,999')),
           jsonb_build_object('last_delivery_at', q.last_at, 'usual', floor(q.usual))
    from quiet q
    where q.usual >= 5
    union all
    select 'inbox_lag', null, 'error',
           format('Webhook deliveries have been waiting to be applied since %s. Check that the'
                  ' receiver''s drain or Dagster''s sensor drain_webhooks is running.'
                  ' `messenger-pipeline status` shows the inbox.',
                  as_utc(l.since)),
           jsonb_build_object('oldest_due_at', l.since)
    from late l
    where l.since < p_now - interval '2 minutes'
    union all
    select 'drain_failing', null, 'error',
           format('No webhook delivery is applied by %s since %s: it failed %s times in a row. It is'
                  ' tried again every few minutes, and deliveries are still received. The last error:'
                  ' %s', f.names, as_utc(f.since), f.failures, f.error),
           jsonb_build_object('since', f.since, 'failures', f.failures, 'error', f.error)
    from failing f
    where f.since is not null
    union all
    select 'deliveries_refused', null, 'warning',
           format('%s refused at least five times, the oldest received at %s. They are'
                  ' tried again every few hours at least; all others are applied. One of the errors:'
                  ' %s. `messenger-pipeline webhook replay --state pending` tries again at once.',
                  case r.deliveries when 1 then '1 webhook delivery was'
                       else describe_count(r.deliveries, 1000) || ' webhook deliveries were' end,
                  as_utc(r.since), coalesce(rtrim(left(r.error, 300), '. '), 'unknown')),
           jsonb_build_object('deliveries', r.deliveries, 'error', r.error)
    from refused r
    where r.deliveries > 0
$$;

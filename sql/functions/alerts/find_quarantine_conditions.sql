-- Returns the pages with quarantined records, and those that quarantined far more records in the
-- last hour than in an average hour of the day before. If no single page did, but all pages together
-- did, returns one row without a page. Discarded records do not count.
--
-- A record that is seen repeatedly counts once an hour, in the last hour as in the hours before.
-- Its earlier sightings are taken as spread evenly over the time since it was first seen.
create or replace function :own.find_quarantine_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
    with recursive seen as (
        select q.page_id, q.reason,
               q.last_seen_at >= now() - interval '1 hour' as recently,
               q.seen_count - (q.last_seen_at >= now() - interval '1 hour')::integer as earlier,
               least(1, extract(epoch from interval '24 hours') / nullif(extract(epoch from
                   now() - interval '1 hour' - q.first_seen_at), 0)) as share
        from (
            select * from quarantined_records o
            where o.last_seen_at >= now() - interval '25 hours'
            order by o.last_seen_at desc limit 20000  -- the newest are what counts
        ) q
        where q.discarded_by is null
          and not exists (
              select from facebook_pages p
              where p.facebook_page_id = q.page_id and p.status <> 'active')
    ), counted as (
        select s.page_id, grouping(s.page_id) = 1 as together,
               count(*) filter (where s.recently) as recent,
               sum(case when s.recently then least(24, s.earlier * s.share)
                        else greatest(1, least(24, s.earlier * s.share)) end
                  ) filter (where s.earlier > 0 and s.share > 0) / 24 as hourly,
               mode() within group (order by s.reason) filter (where s.recently) as reason
        from seen s
        group by grouping sets ((s.page_id), ())
    ), grown as (
        select * from counted c where c.recent >= 10 and c.recent > 5 * coalesce(c.hourly, 0)
    ), pages (page_id) as (
        -- From page to page in the index, because some have no row in the registry.
        (select q.page_id from quarantined_records q
         where q.resolved_at is null order by q.page_id, q.id limit 1)
        union all
        select (select q.page_id from quarantined_records q
                where q.resolved_at is null and q.page_id > n.page_id
                order by q.page_id, q.id limit 1)
        from pages n where n.page_id is not null
    ), unresolved as (
        select n.page_id, count(*) as records, min(q.first_seen_at) as since,
               mode() within group (order by q.reason) as reason
        from pages n
        cross join lateral (
            select o.first_seen_at, o.reason from quarantined_records o
            where o.page_id = n.page_id and o.resolved_at is null
            order by o.page_id, o.id limit 1000) q
        group by n.page_id
    )
    select 'records_quarantined', nullif(u.page_id, ''), 'warning',
           format('%s: %s in quarantine since %s. %s %s List with `messenger-pipeline'
                  ' quarantine list%s`, then replay after an upgrade that reads them, or discard'
                  ' with `messenger-pipeline quarantine discard`.',
                  case when u.page_id = '' then 'Webhook deliveries of no known page'
                       else describe_page(u.page_id, p.name) end,
                  case u.records when 1 then '1 record is'
                       else describe_count(u.records, 1000) || ' records are' end,
                  as_utc(u.since),
                  case u.records when 1 then 'The reason is:'
                       else 'The most frequent reason is:' end,
                  rtrim(left(u.reason, 200), '.') || '.',
                  case when u.page_id <> '' then ' --page ' || u.page_id else '' end),
           jsonb_build_object('records', u.records, 'since', u.since)
    from unresolved u
    left join facebook_pages p on p.facebook_page_id = u.page_id
    where p.status is null or p.status in ('active', 'needs_reauthorization')
    union all
    select 'quarantine_spike', g.page_id, 'warning',
           format('%s: %s records were quarantined in the last hour. The most frequent reason is:'
                  ' %s. List them with `messenger-pipeline quarantine list%s`. If a newer version'
                  ' reads them, upgrade and run `messenger-pipeline quarantine replay`.',
                  coalesce(describe_page(g.page_id, p.name), 'All pages together'),
                  to_char(g.recent, 'FM999,999,999,999'), left(g.reason, 200),
                  coalesce(' --page ' || g.page_id, '')),
           jsonb_build_object('last_hour', g.recent,
                              'hourly_before', round(coalesce(g.hourly, 0), 1))
    from grown g
    left join facebook_pages p on p.facebook_page_id = g.page_id
    where not g.together or not exists (select from grown o where not o.together)
$$;

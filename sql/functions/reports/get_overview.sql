-- Returns the figures that the person on call looks at first.
--
-- pages: the number of pages of each status.
-- inbox_waiting, quarantined: at most 10,000 are counted; inbox_oldest is the oldest of them.
-- deliveries_a_minute: deliveries settled in the last minute, at most 100,000.
-- dagster_seen_at: the last heartbeat of Dagster's daemon; NULL if it never sent one.
create or replace function :own.get_overview()
returns table (
    pages jsonb, open_sessions bigint, running_sessions bigint, waiting_requests bigint,
    oldest_request timestamptz, open_alerts bigint, open_errors bigint, inbox_waiting bigint,
    inbox_oldest timestamptz, deliveries_a_minute bigint, quarantined bigint,
    dagster_seen_at timestamptz
)
language sql stable security definer
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
    select (select coalesce(jsonb_object_agg(status, pages), '{}')
            from (select status, count(*) as pages from facebook_pages group by status) p),
           (select count(*) from sync_state where outcome is null),
           (select count(*) from sync_locks l where l.expires_at > clock_timestamp()),
           r.requests, r.oldest, a.open, a.errors, i.waiting, i.oldest,
           f.done + f.ignored + f.failed,
           (select count(*) from (
                select from quarantined_records where resolved_at is null
                order by id limit 10000) q),
           (select at from heartbeats where name = 'dagster')
    from (select count(*) as requests, min(requested_at) as oldest
          from sync_requests where ended_at is null) r,
         (select count(*) as open, count(*) filter (where severity = 'error') as errors
          from alerts where closed_at is null) a,
         (select deliveries as waiting, oldest from count_waiting_deliveries()) i,
         (select done, ignored, failed from get_inbox_figures(interval '1 minute')) f
$$;

-- Returns the syncs that fail, that are stuck, that ended truncated or with a warning, what they set
-- aside, and the leases that ended runs went on holding.
create or replace function :own.find_sync_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
set enable_seqscan = off  -- lookups of each page, not all gaps for each
set jit = off  -- compiling takes longer than running it
as $$
    with open as (
        select s.sync_session_id, s.page_id, s.mode, s.run_id, s.last_error,
               -- Continuations, also those that were killed, or failed runs behind the first one,
               -- whoever started them.
               greatest(s.idle_attempts, s.failed_runs - 1) as attempts,
               s.not_before, s.updated_at, s.waiting_until, s.parked_at,
               describe_page(s.page_id, p.name) as page, l.locked_by, l.locked_at, l.expires_at
        from sync_state s
        join facebook_pages p on p.facebook_page_id = s.page_id and p.status = 'active'
        left join sync_locks l on l.page_id = s.page_id
        where s.outcome is null
    ), ended as (
        select s.page_id, s.mode, s.ended_at, s.outcome, s.truncated, s.warning,
               s.sync_session_id, describe_page(s.page_id, p.name) as page
        from facebook_pages p
        cross join (values ('full'), ('incremental')) as m (mode)
        cross join lateral (
            select * from sync_state s
            where s.page_id = p.facebook_page_id and s.mode = m.mode
              and s.outcome in ('completed', 'truncated')
            order by s.ended_at desc limit 1) s
        where p.status = 'active'
    )
    select 'sync_failing', o.page_id, 'error',
           format('The %s sync of %s made no progress in its last %s attempts. It is retried at'
                  ' least hourly. The last error: %s',
                  o.mode, o.page, o.attempts, o.last_error),
           jsonb_build_object('sync_session_id', o.sync_session_id, 'attempts', o.attempts,
                              'error', o.last_error)
    from open o
    where o.attempts >= 3 and o.last_error is not null
      -- That has an alert of its own.
      and not exists (select from page_refusals r
                      where r.page_id = o.page_id and r.error = 'terms')
    union all
    -- A run's first step is to postpone the next sync, so that a later failure is counted.
    select 'sync_failing', p.facebook_page_id, 'error',
           format('The last %s syncs of %s failed before they started. The page''s last run in'
                  ' Dagster shows the reason. A frequent one is a token that'
                  ' MESSENGER_TOKEN_KEY does not decrypt: correct the key, or add the token again'
                  ' with `messenger-pipeline pages add %s`.',
                  p.failed_starts, describe_page(p.facebook_page_id, p.name), p.facebook_page_id),
           jsonb_build_object('attempts', p.failed_starts,
                              'last_try_at', p.next_sync_at - p.sync_interval)
    from facebook_pages p
    where p.status = 'active' and p.failed_starts >= 3
      and find_last_activity(p.facebook_page_id) < p.next_sync_at - p.sync_interval
      and not exists (
          select from sync_locks l
          where l.page_id = p.facebook_page_id and l.expires_at > clock_timestamp())
    union all
    select 'sync_stuck', o.page_id, 'error',
           case when o.expires_at > clock_timestamp()
               then format('Run %s has held %s since %s but has loaded nothing since %s.'
                           ' Terminate the run in Dagster: another run resumes the sync.',
                           o.locked_by, o.page, as_utc(o.locked_at), as_utc(o.updated_at))
               else format('The %s sync of %s has been due since %s but no run has resumed it.'
                           ' Check that Dagster is running, that its sensor continue_open_syncs is'
                           ' on, and that its run queue is moving.',
                           o.mode, o.page, as_utc(greatest(o.not_before, o.updated_at)))
           end,
           jsonb_build_object('sync_session_id', o.sync_session_id, 'run_id', o.run_id)
    from open o
    where (o.expires_at > clock_timestamp() and o.run_id = o.locked_by
           and greatest(o.locked_at, o.updated_at, o.waiting_until) < now() - interval '15 minutes')
       -- Nobody is expected to resume what a person cancelled.
       or (o.parked_at is null
           and greatest(o.not_before, o.updated_at, o.expires_at) < now() - interval '1 hour')
    union all
    select 'lease_of_ended_run', f.page_id, 'error',
           format('Run %s went on holding %s %s. Its lease was freed at %s: it cannot write any more,'
                  ' and other runs sync the page. Its process may still be running: the first lines'
                  ' of the run''s log in Dagster name its pid. End it.',
                  f.run_id, describe_page(f.page_id, p.name),
                  case when f.run_status = 'UNKNOWN' then 'although Dagster does not know it'
                      else format('after Dagster had ended it at %s (%s)', as_utc(f.run_ended_at),
                                  f.run_status) end,
                  as_utc(f.freed_at)),
           jsonb_build_object('run_id', f.run_id, 'run_status', f.run_status,
                              'run_ended_at', f.run_ended_at, 'freed_at', f.freed_at)
    from freed_leases f
    join facebook_pages p on p.facebook_page_id = f.page_id and p.status = 'active'
    -- Nothing shows when the process ends.
    where f.freed_at > now() - interval '1 hour'
    union all
    select 'sync_truncated', g.page_id, 'warning',
           format('A part of the thread list of %s could not be read: threads last updated at or'
                  ' before %s%s. %s Later changes are read as usual. %s',
                  describe_page(g.page_id, p.name), coalesce(as_utc(g.newest_time), 'now'),
                  coalesce(' and after ' || as_utc(g.until_time), ''),
                  coalesce(rtrim(g.last_error, '. ') || '.', ''),
                  case when g.unreadable
                      then format('It was tried %s times and counts as unreadable. A full sync that'
                                  ' reads the list to its end closes this alert; to try at once,'
                                  ' run `messenger-pipeline gaps retry --page %s`.',
                                  g.attempts, g.page_id)
                      else 'It is tried again by the next syncs; this alert lasts until it is read.'
                  end),
           jsonb_build_object('newest_time', g.newest_time, 'until_time', g.until_time,
                              'attempts', g.attempts, 'unreadable', g.unreadable,
                              'error', g.last_error)
    from list_gaps g
    join facebook_pages p on p.facebook_page_id = g.page_id and p.status = 'active'
    union all
    select 'sync_truncated', e.page_id, 'warning',
           format('The thread list of %s could not be read to its end: %s Nothing was marked'
                  ' deleted. The next sync tries again; until then new messages arrive by webhook.',
                  e.page, coalesce(rtrim(e.truncated, '. ') || '.', '')),
           jsonb_build_object('sync_session_id', e.sync_session_id, 'reason', e.truncated)
    from (select distinct on (e.page_id) * from ended e order by e.page_id, e.ended_at desc) e
    where e.outcome = 'truncated'
      and not exists (select from list_gaps g where g.page_id = e.page_id)
    union all
    -- The first failure is often a passing one: it is tried again within minutes.
    select 'history_incomplete', p.facebook_page_id, 'warning',
           format('%s of threads'' history of %s could not be read: %s. The last error: %s. See'
                  ' `messenger-pipeline gaps list --page %s`.',
                  case when count(*) = 1 then '1 stretch'
                       else describe_count(count(*), 1000) || ' stretches' end,
                  describe_page(p.facebook_page_id, p.name),
                  concat_ws(', ',
                      case count(*) filter (where not g.unreadable)
                          when 0 then null
                          when 1 then '1 is put off and tried again more and more rarely'
                          else describe_count(count(*) filter (where not g.unreadable), 1000)
                              || ' are put off and tried again more and more rarely' end,
                      case count(*) filter (where g.unreadable)
                          when 0 then null
                          when 1 then '1 is unreadable'
                          else describe_count(count(*) filter (where g.unreadable), 1000)
                              || ' are unreadable' end),
                  rtrim((array_agg(g.last_error order by g.not_before desc))[1], '. '),
                  p.facebook_page_id),
           jsonb_build_object('put_off', count(*) filter (where not g.unreadable),
                              'unreadable', count(*) filter (where g.unreadable),
                              'threads', (array_agg(g.thread_id order by g.opened_at))[1:5])
    from facebook_pages p
    cross join lateral (
        -- Up to 1,000 of each, in the order of thread_gaps_failed, not all that a page has.
        (select * from thread_gaps o
         where o.page_id = p.facebook_page_id and not o.unreadable and o.last_error is not null
           and o.attempts > 1 and o.first_failed_at is not null
         order by o.page_id desc, o.unreadable desc, o.first_failed_at desc limit 1000)
        union all
        -- After a week an unreadable one is known; `gaps list` and the checks go on showing it.
        (select * from thread_gaps o
         where o.page_id = p.facebook_page_id and o.unreadable and o.last_error is not null
           and o.first_failed_at > now() - interval '14 days'
         order by o.page_id desc, o.unreadable desc, o.first_failed_at desc limit 1000)
    ) g
    where p.status = 'active'
    group by p.facebook_page_id, p.name
    union all
    -- An incremental sync does not clear the warning of a full one: it looks at new threads only.
    select 'sync_warning', e.page_id, 'warning',
           format('The last %s sync of %s ended with a warning: %s', e.mode, e.page, e.warning),
           jsonb_build_object('sync_session_id', e.sync_session_id, 'warning', e.warning)
    from ended e
    where e.warning is not null
$$;

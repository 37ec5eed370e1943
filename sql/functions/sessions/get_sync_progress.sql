-- Returns the progress of the sessions with these ids, or of all open ones, for display. A session
-- that does not exist has no row.
--
-- open_gaps: at most 10,000 are counted.
create or replace function :own.get_sync_progress(p_sessions uuid[] default null)
returns table (
    sync_session_id uuid, page_id text, page_name text, mode text, state text, changes bigint,
    total_synced integer, inserted integer, updated integer, unchanged integer,
    events_created integer, quarantined integer, failed_batches integer, deleted integer,
    api_calls integer, open_gaps bigint, expected integer, listed_at timestamptz,
    cutoff timestamptz, next_watermark timestamptz, last_updated_time timestamptz,
    worked_seconds double precision, waited_seconds double precision, waiting_until timestamptz,
    waiting_for text, run_id text, outcome text, last_error text, warning text,
    started_at timestamptz, updated_at timestamptz, ended_at timestamptz
)
language sql stable security definer
set search_path from current
-- An average session has many gaps, so that reading all may look cheaper than an index.
set enable_seqscan = off
set jit = off
as $$
    select s.sync_session_id, s.page_id, p.name, s.mode,
           describe_sync_state(s.outcome, l.page_id is not null, s.waiting_until,
                               r.error is null and r.id is not null,
                               case when s.parked_at is not null and p.status = 'active'
                                   then 'parked' else p.status end,
                               s.not_before),
           s.changes, s.total_synced, s.inserted, s.updated, s.unchanged, s.events_created,
           s.quarantined, s.failed_batches, s.deleted, s.api_calls,
           (select count(*) from (
                select from thread_gaps g
                where g.sync_session_id = s.sync_session_id and not g.unreadable
                limit 10000) o),
           s.expected, s.listed_at, s.cutoff, s.next_watermark, s.last_updated_time,
           s.worked_seconds, s.waited_seconds,
           -- For an open session without a run: the time from which a run may resume it.
           case when s.outcome is not null then null
                when l.page_id is not null and s.waiting_until > now() then s.waiting_until
                when l.page_id is null and s.not_before > now() and r.id is null then s.not_before
           end,
           case when case when l.page_id is null then s.not_before > now() and r.id is null
                          else s.waiting_until > now() end then s.waiting_for end,
           case when l.page_id is not null then s.run_id end,
           s.outcome,
           -- The error of an earlier request is outdated once the session has progressed or ended.
           coalesce(s.last_error, case when s.outcome is null and r.ended_at >= s.updated_at
                                       then r.error end),
           coalesce(s.truncated, s.warning),
           s.started_at, s.updated_at, s.ended_at
    -- Two scans of an index each, of which one is never executed: a condition that joins them
    -- would read all sessions.
    from (
        select * from sync_state where p_sessions is null and outcome is null
        union all
        select * from sync_state where sync_session_id = any (p_sessions)
    ) s
    left join lateral (
        select f.name, f.status from facebook_pages f where f.facebook_page_id = s.page_id limit 1
    ) p on true
    left join lateral (
        select k.page_id from sync_locks k
        where k.page_id = s.page_id and k.locked_by = s.run_id and k.expires_at > now()
          and s.outcome is null
        limit 1
    ) l on true
    left join lateral (
        select r.id, r.error, r.ended_at from sync_requests r
        where r.sync_session_id = s.sync_session_id and (r.ended_at is null or r.error is not null)
        order by r.id desc limit 1) r on true
$$;

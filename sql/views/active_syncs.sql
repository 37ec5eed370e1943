-- The open sync sessions, and the run that walks each.
create or replace view :data.active_syncs as
select
    s.page_id,
    p.name as page_name,
    s.sync_session_id,
    s.user_id,
    s.mode,
    describe_sync_state(
        s.outcome, l.expires_at > now() and s.run_id = l.locked_by, s.waiting_until,
        r.id is not null,
        case when s.parked_at is not null and p.status = 'active' then 'parked' else p.status end,
        s.not_before) as state,
    s.total_synced,
    s.inserted,
    s.updated,
    s.unchanged,
    s.events_created,
    s.quarantined,
    -- At most 10,000: a person looks at it often.
    (select count(*) from (
         select from thread_gaps g
         where g.sync_session_id = s.sync_session_id and not g.unreadable
         order by g.sync_session_id, g.unreadable limit 10000) o) as open_gaps,
    s.idle_attempts,
    s.not_before,
    s.waiting_until,
    s.waiting_for,
    r.requested_at,
    l.locked_by,
    l.locked_at,
    l.expires_at,
    s.last_error,
    s.started_at,
    s.updated_at,
    p.platform
from sync_state s
left join facebook_pages p on p.facebook_page_id = s.page_id
left join sync_locks l on l.page_id = s.page_id
left join sync_requests r on r.sync_session_id = s.sync_session_id and r.ended_at is null
where s.outcome is null;

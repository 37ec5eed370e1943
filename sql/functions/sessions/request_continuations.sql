-- Claims the open sessions that a run should resume now. A repeated call returns none of them until
-- their backoff is over. The backoff of a session that loads nothing doubles with each attempt, up
-- to an hour. A parked session is never resumed here: a person cancelled it.
--
-- p_busy: sessions and pages whose runs are not finished.
-- attempt: unique among the attempts of the session.
create or replace function :own.request_continuations(p_busy text[])
returns table (sync_session_id uuid, page_id text, attempt text)
language sql security definer
set search_path from current
as $$
    update sync_state s
    set idle_attempts = s.idle_attempts + 1,
        not_before = now() + least(
            interval '1 hour', interval '30 seconds' * 2 ^ least(s.idle_attempts, 10))
    from facebook_pages p
    where s.outcome is null and s.not_before <= now() and s.parked_at is null
      and p.facebook_page_id = s.page_id and p.status = 'active'
      -- Requested syncs have a sensor of their own.
      and not exists (
          select from sync_requests r where r.page_id = s.page_id and r.ended_at is null)
      and s.page_id <> all (p_busy) and s.sync_session_id::text <> all (p_busy)
      and not exists (
          select from sync_locks l where l.page_id = s.page_id and l.expires_at > clock_timestamp())
    returning s.sync_session_id, s.page_id, s.step || '.' || s.idle_attempts
$$;

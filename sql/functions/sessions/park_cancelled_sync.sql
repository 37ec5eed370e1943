-- Parks the sync of a run that a person cancelled in Dagster, if the run could not do it itself: it
-- was still queued, or its process is gone. The page is not due for one sync interval from the
-- cancellation, and a pending request for the session ends. Returns whether it parked a session.
-- A repeated call changes nothing.
--
-- p_session: the session that a queued run was to resume; NULL if it named none.
create or replace function :own.park_cancelled_sync(
    p_page_id text, p_run_id text, p_session uuid, p_cancelled_at timestamptz
) returns boolean
language plpgsql security definer
set search_path from current
as $$
declare
    v_session uuid;
begin
    perform commit_durably();
    update facebook_pages
    set next_sync_at = greatest(next_sync_at, p_cancelled_at + sync_interval)
    where facebook_page_id = p_page_id;
    update sync_requests
    set ended_at = now(), error = 'The run of the requested sync was cancelled in Dagster.'
    where page_id = p_page_id and sync_session_id = p_session and ended_at is null
      and requested_at < p_cancelled_at;
    update sync_state s
    set parked_at = p_cancelled_at, changes = s.changes + 1
    where s.page_id = p_page_id and s.outcome is null and s.parked_at is null
      -- A session that another run opened after the cancellation is not the cancelled one's.
      and (s.run_id = p_run_id
           or (s.sync_session_id = p_session and s.updated_at < p_cancelled_at))
    returning s.sync_session_id into v_session;
    if not found then
        return false;
    end if;
    perform announce_sync(p_page_id, v_session);
    return true;
end
$$;

-- Restarts a session's list from the top, because Meta refuses its cursor. Threads that are
-- unchanged since they were stored pass quickly. Twice at the same depth, or five times, means that
-- the rest cannot be read now: it becomes a list gap, and the session ends as truncated, with
-- p_reason.
--
-- This is a step of the session: a retry of a call whose acknowledgement was lost changes nothing.
-- MPS01 if the session is not open at p_step; MPL01 if the lease is lost.
create or replace function :own.restart_session_list(
    p_session uuid, p_fence bigint, p_step integer, p_reason text
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_session sync_state;
    v_oldest timestamptz;
begin
    select * into v_session from sync_state where sync_session_id = p_session for no key update;
    perform check_fence(v_session.page_id, p_fence);
    if v_session.outcome is null and v_session.step = p_step + 1
        and (v_session.truncated is not null
             or (v_session.list_restarts > 0 and v_session.last_cursor is null))
    then
        return;
    elsif v_session.outcome is not null or v_session.step <> p_step then
        raise exception 'sync session % is not open at step %', p_session, p_step
            using errcode = 'MPS01', hint = 'Another run resumed it.';
    end if;
    -- Read by one of the passes; what moved up since is read by the next incremental.
    v_oldest := least(v_session.dead_cursor_time, v_session.last_updated_time);
    -- Threads move meanwhile, so the same depth is not always the same number.
    if abs(v_session.list_depth - v_session.dead_cursor_depth) <= v_session.list_depth / 20
        or v_session.list_restarts >= 4
    then
        update sync_state
        set step = step + 1, idle_attempts = 0, failed_runs = 0, list_restarts = list_restarts + 1,
            truncated = format(
                'Meta''s list could not be read past %s: it refused the cursors there again. %s',
                coalesce(as_utc(v_oldest), 'its first page'), p_reason),
            listed_at = now(), updated_at = now(), changes = changes + 1
        where sync_session_id = p_session;
        perform open_list_gap(v_session.page_id, p_session, v_oldest, v_session.cutoff, p_reason);
    else
        update sync_state
        set step = step + 1, idle_attempts = 0, failed_runs = 0, list_restarts = list_restarts + 1,
            list_depth = 0, last_cursor = null, last_updated_time = null,
            dead_cursor_depth = greatest(dead_cursor_depth, list_depth),
            dead_cursor_time = v_oldest, last_error = p_reason, updated_at = now(),
            changes = changes + 1
        where sync_session_id = p_session;
    end if;
    perform announce_sync(v_session.page_id, p_session);
end
$$;

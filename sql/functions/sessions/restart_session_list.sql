-- Restarts a session's list from the top, because Meta rejects its cursor. Threads that are
-- unchanged since they were stored pass quickly. If the restarted list reaches no deeper than the
-- first time, it is not restarted again: the session ends as truncated, with p_reason.
--
-- This is a step of the session: a retry of a call whose acknowledgement was lost changes nothing.
-- MPS01 if the session is not open at p_step; MPL01 if the lease is lost.
create or replace function :own.restart_session_list(
    p_session uuid, p_fence bigint, p_step integer, p_reason text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_session sync_state;
    v_reached timestamptz;
begin
    select * into v_session from sync_state where sync_session_id = p_session for no key update;
    perform check_fence(v_session.page_id, p_fence);
    if v_session.outcome is null and v_session.step = p_step + 1
        and (v_session.truncated is not null
             or (v_session.dead_cursor_time is not null and v_session.last_cursor is null))
    then
        return;
    elsif v_session.outcome is not null or v_session.step <> p_step then
        raise exception 'sync session % is not open at step %', p_session, p_step
            using errcode = 'MPS01', hint = 'Another run resumed it.';
    end if;
    v_reached := coalesce(v_session.last_updated_time, 'infinity');
    if v_reached >= v_session.dead_cursor_time then
        update sync_state
        set step = step + 1, idle_attempts = 0,
            truncated = format(
                'Meta''s list could not be read past %s: its cursors failed there twice. %s',
                case when v_reached = 'infinity' then 'its first page' else as_utc(v_reached) end,
                p_reason),
            listed_at = now(), updated_at = now(), changes = changes + 1
        where sync_session_id = p_session;
    else
        update sync_state
        set step = step + 1, idle_attempts = 0, dead_cursor_time = v_reached, last_cursor = null,
            last_updated_time = null, last_error = p_reason, updated_at = now(),
            changes = changes + 1
        where sync_session_id = p_session;
    end if;
    perform announce_sync(v_session.page_id, p_session);
end
$$;

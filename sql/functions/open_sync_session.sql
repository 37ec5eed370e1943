-- The session that the holder of the page's lease is to walk: an open one resumed, or a new one.
-- Whoever asked for it has it now.
--
-- p_mode: see choose_sync_session.
-- p_session: resume this one, whatever the mode; no row if it is no longer open.
create or replace function open_sync_session(
    p_page_id text, p_fence bigint, p_mode text, p_run_id text, p_session uuid default null
) returns setof sync_state
language plpgsql
set search_path from current
as $$
declare
    v_session uuid;
begin
    perform check_fence(p_page_id, p_fence);
    -- Who asks for a sync at the same time comes before us or after us: see request_sync.
    perform from facebook_pages where facebook_page_id = p_page_id for no key update;
    if p_session is not null then
        select sync_session_id into v_session from sync_state
            where sync_session_id = p_session and page_id = p_page_id and outcome is null;
        if not found then
            return;
        end if;
    else
        v_session := choose_sync_session(p_page_id, p_mode, p_run_id);
    end if;

    -- Gaps that an ended session left open are this one's to close.
    update thread_gaps g
    set sync_session_id = v_session
    from sync_state s
    where g.page_id = p_page_id and not g.unreadable
      and s.sync_session_id = g.sync_session_id and s.outcome is not null;
    update sync_requests
    set ended_at = now(), run_id = p_run_id
    where sync_session_id = v_session and ended_at is null;
    perform announce_sync(p_page_id, v_session);

    return query
    update sync_state
    set run_id = p_run_id, attempts = attempts + 1, attempt_step = step, waiting_until = null,
        -- Until it loads something it may be sent away again.
        waiting_for = case when not_before > now() then waiting_for end,
        updated_at = now(), changes = changes + 1
    where sync_session_id = v_session
    returning *;
end
$$;

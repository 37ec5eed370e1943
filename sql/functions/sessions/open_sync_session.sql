-- Returns the session for the holder of the page's lease to walk: an open one, or a new one.
-- Fulfils the pending request for it. A parked session is no longer parked. MPL01 if the lease is
-- lost.
--
-- p_mode: see choose_sync_session.
-- p_session: resume this session, whatever the mode; returns NULL if it is not open.
create or replace function :own.open_sync_session(
    p_page_id text, p_fence bigint, p_mode text, p_run_id text, p_session uuid default null
) returns uuid
language plpgsql security definer
set search_path from current
as $$
declare
    v_session uuid;
begin
    perform check_fence(p_page_id, p_fence);
    -- Serializes with a concurrent request: see request_sync.
    perform from facebook_pages where facebook_page_id = p_page_id for no key update;
    if p_session is not null then
        select sync_session_id into v_session from sync_state
            where sync_session_id = p_session and page_id = p_page_id and outcome is null;
        if not found then
            return null;
        end if;
    else
        v_session := choose_sync_session(p_page_id, p_mode, p_run_id);
    end if;

    update sync_requests
    set ended_at = now(), run_id = p_run_id
    where sync_session_id = v_session and ended_at is null;
    update sync_state
    set run_id = p_run_id, waiting_until = null, parked_at = null,
        -- Still shown until the run loads something: Meta may refuse it again.
        waiting_for = case when not_before > now() then waiting_for end,
        -- The time before the first run is waiting, not work.
        started_at = case when run_id is null then now() else started_at end,
        updated_at = now(), changes = changes + 1
    where sync_session_id = v_session;
    perform announce_sync(p_page_id, v_session);
    return v_session;
end
$$;

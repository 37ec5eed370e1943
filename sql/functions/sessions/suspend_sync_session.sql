-- Leaves a session open for a later run, which resumes it no earlier than p_seconds from now. After
-- an error, or a wait for Meta, the longer backoff of a session without progress is kept (see
-- request_continuations). MPL01 if the lease is lost.
--
-- p_parked: a person cancelled the run. No continuation resumes the session, and the page is not
--   due for one sync interval.
create or replace function :own.suspend_sync_session(
    p_session uuid, p_fence bigint, p_seconds double precision, p_error text default null,
    p_waiting_for text default null, p_parked boolean default false
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
begin
    perform commit_durably();
    if p_parked then
        -- Every function that locks both locks the page before its session.
        update facebook_pages p
        set next_sync_at = greatest(p.next_sync_at, now() + p.sync_interval)
        from sync_state s
        where s.sync_session_id = p_session and p.facebook_page_id = s.page_id;
    end if;
    update sync_state
    set not_before = greatest(
            now() + make_interval(secs => p_seconds),
            case when coalesce(p_error, p_waiting_for) is not null and idle_attempts > 1
                then not_before end),
        parked_at = case when p_parked then now() end,
        failed_runs = failed_runs + (p_error is not null)::integer,
        last_error = p_error, waiting_until = null, waiting_for = p_waiting_for, updated_at = now(),
        changes = changes + 1
    where sync_session_id = p_session and outcome is null
    returning page_id into v_page_id;
    perform check_fence(v_page_id, p_fence);
    perform announce_sync(v_page_id, p_session);
end
$$;

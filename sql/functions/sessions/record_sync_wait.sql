-- Records that a session's run waits for p_seconds from now, and for what.
create or replace function :own.record_sync_wait(
    p_session uuid, p_seconds double precision, p_waiting_for text
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
begin
    -- Only informative, so it need not survive a crash of the server.
    perform set_config('synchronous_commit', 'off', true);
    update sync_state
    set waiting_until = clock_timestamp() + make_interval(secs => p_seconds),
        waiting_for = p_waiting_for, updated_at = now(), changes = changes + 1
    where sync_session_id = p_session and outcome is null
    returning page_id into v_page_id;
    if found then
        perform announce_sync(v_page_id, p_session);
    end if;
end
$$;

-- Adds the effort of a session's run since its last load, and how the run ended.
--
-- p_effort: {api_calls, api_errors, seconds, waited_seconds}.
-- p_run_outcome: 'completed', 'partial' or 'failed'; NULL while the run continues.
create or replace function :own.add_sync_effort(
    p_session uuid, p_effort jsonb, p_run_outcome text
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
    v_outcome text;
begin
    update sync_state
    set api_calls = api_calls + (p_effort ->> 'api_calls')::integer,
        worked_seconds = worked_seconds + (p_effort ->> 'seconds')::double precision,
        waited_seconds = waited_seconds + (p_effort ->> 'waited_seconds')::double precision,
        -- Watchers of a session stop at its end: no further change is announced.
        changes = changes + (outcome is null)::integer
    where sync_session_id = p_session
    returning page_id, outcome into v_page_id, v_outcome;
    if v_outcome is null then
        perform announce_sync(v_page_id, p_session);
    end if;
    perform add_to_sync_totals(v_page_id, p_effort || case when p_run_outcome is null then '{}'
        else jsonb_build_object('runs', jsonb_build_object(p_run_outcome, 1)) end);
end
$$;

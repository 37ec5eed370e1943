-- The state of a sync session in one word. An open one is: running; rate_limited (running, and
-- waiting for Meta); requested; what keeps its page from being synced (paused, …); backing_off
-- (until not_before); resumable.
create or replace function :own.describe_sync_state(
    p_outcome text, p_running boolean, p_waiting_until timestamptz, p_requested boolean,
    p_page_status text, p_not_before timestamptz
) returns text
language sql stable
return case
    when p_outcome is not null then p_outcome
    when p_running and p_waiting_until > now() then 'rate_limited'
    when p_running then 'running'
    when p_requested then 'requested'
    when p_page_status <> 'active' then p_page_status
    when p_not_before > now() then 'backing_off'
    else 'resumable'
end;
-- active_syncs calls it for whoever reads that.
grant execute on function :own.describe_sync_state(text, boolean, timestamptz, boolean, text, timestamptz)
    to public;

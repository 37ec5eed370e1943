-- Returns the state of a sync session in one word: the outcome of an ended session. An open one is
-- running; rate_limited (running, and waiting for Meta); requested; the page's status, such as
-- paused, if that prevents syncing; parked, which callers pass as the page's status; backing_off (until not_before); or resumable.
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
-- The view active_syncs calls it with the rights of its reader.
grant execute on function :own.describe_sync_state(
    text, boolean, timestamptz, boolean, text, timestamptz
) to public;

-- Records that a process is alive. `since` is when it came up: a heartbeat after a silence of more
-- than p_silence sets it again.
create or replace function :own.record_heartbeat(
    p_name text, p_silence interval default '3 minutes'
) returns void
language sql security definer
set search_path from current
as $$
    insert into heartbeats as h (name, at, since)
    values (p_name, clock_timestamp(), clock_timestamp())
    on conflict (name) do update
        set at = excluded.at,
            since = case when h.at < excluded.at - p_silence then excluded.at else h.since end
$$;

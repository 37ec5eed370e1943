-- Reserves the next slot for a call to Meta on behalf of a page; all processes share one queue.
-- Returns the seconds to wait before the call. If Meta's limit pauses a scope for longer than
-- p_patience seconds, reserves nothing and returns the paused scope and the seconds that are left.
--
-- p_scopes: keys of graph_api_budget: the page's scope first, then the token's and the app's.
-- p_reserve_percent: percentage of the quota that this kind of call leaves to more urgent ones.
--   Calls slow down as the usage that Meta reported approaches the rest.
--
-- Of any n + 1 calls within a limit of n calls per second the first and the last are at least 1.1
-- seconds apart: a server that sees each of them up to 100 ms late counts no more than n in any
-- second. Calls are spaced evenly, except that up to 4 follow each other where n allows it: then a
-- slow answer costs none of the calls behind it. db/rate.py has the same rule for one process.
--
-- Times that are further ahead than any pause or queue were written before the clock was set back:
-- they count as past.
create or replace function :own.reserve_graph_call(
    p_scopes text[], p_calls_per_second double precision, p_reserve_percent integer default 0,
    p_patience double precision default 30
) returns table (seconds double precision, paused_scope text)
language plpgsql security definer
set search_path from current
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_paused graph_api_budget;
    v_calls integer := case when p_calls_per_second in (1, 2, 3, 4) then p_calls_per_second else 1 end;
    v_limit timestamptz := clock_timestamp() + interval '15 minutes';
    v_interval interval;  -- between a call and the one v_calls behind it
    v_place timestamptz;
begin
    -- A slot need not survive a crash of the server, and each call takes one.
    perform set_config('synchronous_commit', 'off', true);
    select * into v_paused from graph_api_budget
        where scope = any (p_scopes) and blocked_until > v_now
          and blocked_until < v_now + interval '25 hours'
        order by blocked_until desc limit 1;
    if v_paused.blocked_until > v_now + make_interval(secs => p_patience) then
        return query select extract(epoch from v_paused.blocked_until - v_now)::double precision,
                            v_paused.scope;
        return;
    end if;
    select make_interval(
            secs => coalesce(max(throttle_factor(b.used_percent, p_reserve_percent)), 1)
                    * case when p_calls_per_second < 1 then 1 / p_calls_per_second + 0.1
                           else 1.1 * v_calls / p_calls_per_second end)
        into v_interval
        from graph_api_budget b
        -- Meta's windows roll: an old report no longer holds.
        where b.scope = any (p_scopes) and b.used_at > v_now - interval '10 minutes';
    insert into graph_api_budget as b (scope, last_call_at, updated_at)
    values (p_scopes[1], greatest(v_paused.blocked_until, v_now), v_now)
    on conflict (scope) do update
        set last_call_at = greatest(
                case when b.last_call_at < v_limit then b.last_call_at end,
                -- Unknown if the setting has changed: then as if it were the last one.
                case when coalesce(b.recent_calls[1], b.last_call_at) < v_limit
                    then case when cardinality(b.recent_calls) = v_calls - 1
                        then b.recent_calls[1] else b.last_call_at end + v_interval end,
                v_paused.blocked_until, clock_timestamp()),
            recent_calls = case
                when v_calls = 1 then null
                when cardinality(b.recent_calls) = v_calls - 1
                    then b.recent_calls[2:] || b.last_call_at
                else array_fill(b.last_call_at, array[v_calls - 1]) end,
            updated_at = clock_timestamp()
    returning b.last_call_at into v_place;
    return query select greatest(
        0, extract(epoch from v_place - clock_timestamp()))::double precision, null;
end
$$;

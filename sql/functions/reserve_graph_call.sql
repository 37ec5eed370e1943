-- Takes the next place in the queue of calls to Meta of a scope, all processes together, and
-- returns for how many seconds to wait before using it. Calls are spaced evenly: a burst after a
-- pause would break a limit per second.
create or replace function reserve_graph_call(p_scope text, p_calls_per_second double precision)
returns double precision
language sql
set search_path from current
as $$
    insert into graph_api_budget as b (scope, next_call_at, updated_at)
    values (p_scope, clock_timestamp() + make_interval(secs => 1 / p_calls_per_second),
            clock_timestamp())
    on conflict (scope) do update
        set next_call_at = greatest(b.next_call_at, b.blocked_until, clock_timestamp())
                + make_interval(secs => 1 / p_calls_per_second),
            updated_at = clock_timestamp()
    returning greatest(0, extract(epoch from
        next_call_at - clock_timestamp()) - 1 / p_calls_per_second)::double precision
$$;

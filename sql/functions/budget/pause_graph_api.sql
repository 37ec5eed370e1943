-- Pauses the calls of a scope after Meta refused one because of a limit. Returns the length of the
-- pause in seconds.
--
-- p_seconds: the length that Meta stated, of which a day at most is believed. NULL if it stated none:
--   then 15 minutes, doubled for each further refusal within an hour of the last pause, up to 4
--   hours. Of simultaneous refusals only the first lengthens the pause.
create or replace function :own.pause_graph_api(p_scope text, p_seconds double precision)
returns double precision
language sql security definer
set search_path from current
as $$
    insert into graph_api_budget as b (scope, blocked_until, strikes)
    values (p_scope, clock_timestamp() + make_interval(secs => least(coalesce(p_seconds, 900), 86400)),
            (p_seconds is null)::integer)
    on conflict (scope) do update
        set blocked_until = case
                when p_seconds is not null then greatest(
                    b.blocked_until, clock_timestamp() + make_interval(secs => least(p_seconds, 86400)))
                when b.blocked_until > clock_timestamp() then b.blocked_until
                else clock_timestamp() + least(
                    interval '4 hours', interval '15 minutes' * 2 ^ least(
                        case when b.blocked_until > clock_timestamp() - interval '1 hour'
                             then b.strikes else 0 end, 10))
            end,
            strikes = case
                when p_seconds is not null or b.blocked_until > clock_timestamp() then b.strikes
                when b.blocked_until > clock_timestamp() - interval '1 hour' then b.strikes + 1
                else 1
            end,
            updated_at = clock_timestamp()
    returning extract(epoch from blocked_until - clock_timestamp())::double precision
$$;

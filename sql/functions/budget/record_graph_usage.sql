-- Records the percentage of Meta's quota that is used up in each scope, from the latest response.
create or replace function :own.record_graph_usage(p_scopes text[], p_percents integer[])
returns void
language sql security definer
set search_path from current
as $$
    insert into graph_api_budget as b (scope, used_percent, used_at)
    select usage.scope, usage.percent, clock_timestamp()
    from unnest(p_scopes, p_percents) as usage (scope, percent)
    order by usage.scope
    on conflict (scope) do update
        set used_percent = excluded.used_percent, used_at = excluded.used_at,
            updated_at = clock_timestamp()
$$;

-- Notes how many percent of Meta's quota are used up in each scope, as the latest answer told.
create or replace function :own.note_graph_usage(p_scopes text[], p_percents integer[])
returns void
language sql
set search_path from current
as $$
    insert into graph_api_budget as b (scope, used_percent, used_at)
    select told.scope, told.percent, clock_timestamp()
    from unnest(p_scopes, p_percents) as told (scope, percent)
    order by told.scope
    on conflict (scope) do update
        set used_percent = excluded.used_percent, used_at = excluded.used_at,
            updated_at = clock_timestamp()
$$;

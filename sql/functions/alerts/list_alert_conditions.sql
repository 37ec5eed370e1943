-- Returns everything that is wrong now, at most one row for each kind and page. Paused and removed
-- pages have no rows.
--
-- found_by: the function that found it. If one of them fails, the others still count: its failure
--   is a condition of its own (alert_check_failing), whose details name it in `functions`.
create or replace function :own.list_alert_conditions()
returns table (
    kind text, page_id text, severity text, summary text, details jsonb, found_by text
)
language plpgsql stable
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
#variable_conflict use_column
declare
    v_function text;
    v_failed jsonb := '{}';
    v_found jsonb := '[]';
    v_part jsonb;
begin
    foreach v_function in array array[
        'find_page_conditions', 'find_sync_conditions', 'find_webhook_conditions',
        'find_coverage_conditions', 'find_quarantine_conditions', 'find_token_conditions',
        'find_dagster_conditions']
    loop
        begin
            execute format('select coalesce(jsonb_agg(to_jsonb(c)), ''[]'') from %I() c', v_function)
                into v_part;
            v_found := v_found || jsonb_build_array(
                jsonb_build_object('found_by', v_function, 'conditions', v_part));
        exception when others then
            v_failed := v_failed || jsonb_build_object(
                v_function, format('%s: %s', sqlstate, sqlerrm));
        end;
    end loop;
    return query
    select distinct on (c.kind, c.page_id)
           c.kind, c.page_id, c.severity,
           -- One that is NULL must not fail the others.
           coalesce(c.summary, c.kind), coalesce(c.details, '{}'), f.found_by
    from jsonb_to_recordset(v_found) as f (found_by text, conditions jsonb)
    cross join jsonb_to_recordset(f.conditions) as c (
        kind text, page_id text, severity text, summary text, details jsonb)
    where c.kind is not null and c.severity in ('warning', 'error')
    order by c.kind, c.page_id, c.severity, c.summary;
    if v_failed <> '{}' then
        return query
        select 'alert_check_failing', null::text, 'error',
               format('Alerts cannot be evaluated by %s: no alert of it opens or closes until it'
                      ' works; the others do. The error: %s',
                      string_agg(e.key, ', ' order by e.key), min(e.value)),
               jsonb_build_object('functions', jsonb_agg(e.key order by e.key)), null::text
        from jsonb_each_text(v_failed) as e;
    end if;
end
$$;

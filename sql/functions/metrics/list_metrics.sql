-- Returns the figures that all processes share, for Prometheus, as of one moment. Labels are in the
-- order of messenger_pipeline/web/shared_metrics.py. No row is about a single page or token.
--
-- A group of figures that cannot be read is left out, and the others are returned: see
-- messenger_metrics_group_up.
create or replace function :own.list_metrics(p_limit bigint default 100000)
returns table (metric text, labels text[], value double precision)
language plpgsql stable security definer
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
#variable_conflict use_column
declare
    v_group record;
    v_figures jsonb := '[]';
    v_found jsonb;
begin
    for v_group in
        select * from (values
            ('syncs', format('get_sync_figures(%s)', p_limit)),
            ('pages', 'get_page_figures()'),
            ('webhooks', format('get_webhook_figures(%s)', p_limit))) as g (name, call)
    loop
        begin
            execute 'select coalesce(jsonb_agg(to_jsonb(f)), ''[]'') from ' || v_group.call || ' f'
                into v_found;
            v_figures := v_figures || v_found || jsonb_build_object(
                'metric', 'messenger_metrics_group_up', 'labels', array[v_group.name], 'value', 1);
        exception when others then
            v_figures := v_figures || jsonb_build_object(
                'metric', 'messenger_metrics_group_up', 'labels', array[v_group.name], 'value', 0);
        end;
    end loop;
    return query
    select f.metric, f.labels, f.value
    from jsonb_to_recordset(v_figures) as f (metric text, labels text[], value double precision)
    order by 1, 2;
end
$$;

-- Puts new tables of the data schema on record. Nobody but their owner reads them until a policy
-- or a grant says so: on a hosted server the schema's default grants may otherwise open them to
-- anonymous web clients.
create or replace function :own.record_tables(p_names text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_name text;
    v_table regclass;
begin
    foreach v_name in array p_names loop
        -- One that was kept by a downgrade keeps its policies and grants.
        continue when exists (select from owned_objects
                              where in_schema = 'data' and kind = 'table' and name = v_name);
        perform withhold_object('table', (select find_objects('table', ':data'::regnamespace, v_name)));
        execute format('alter table :data.%I enable row level security', v_name);
        execute format('create policy %I on :data.%I to %I using (true) with check (true)',
                       v_name || '_pipeline', v_name, current_user);
        v_table := to_regclass(format(':data.%I', v_name));
        insert into owned_objects (in_schema, kind, name, object_oid, definition_digest)
        values ('data', 'table', v_name, v_table, list_columns(v_table)::text);
    end loop;
end
$$;

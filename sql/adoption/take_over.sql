-- Sets the replaced application's functions, views and tables of its syncs aside, with what restores
-- them. Who was allowed to use them is noted for ours.
create or replace function :own.take_over()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_object record;
    v_name text;
    v_grants text;
    v_grant record;
begin
    for v_object in
        select 'view' as kind, r.oid, r.relname::text as name,
               format('create view :data.%I as %s', r.relname, pg_get_viewdef(r.oid)) as definition
        from pg_class r
        where r.relnamespace = ':data'::regnamespace and r.relkind = 'v'
          and r.relname in ('active_syncs', 'sync_statistics')
          and not exists (select from owned_objects o where o.kind = 'view' and o.name = r.relname)
        union all
        select 'function', f.function_oid, f.name, pg_get_functiondef(f.function_oid)
        from list_replaced_functions() f where f.is_recognized
        order by 1 desc
    loop
        v_name := describe_object(v_object.kind, v_object.oid);
        v_grants := '';
        -- What it was created with, PUBLIC's right to execute it included, is not everybody's.
        if v_object.kind = 'view' or not exists (
            select from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
            where p.oid = v_object.oid and g.grantee = 0)
        then
            v_grants := format('; revoke all on %s %s from public',
                               case when v_object.kind = 'function' then 'function' else 'table' end,
                               v_name);
        end if;
        for v_grant in
            select * from jsonb_to_recordset(list_grants(v_object.kind, v_object.oid))
                as g (privilege text, attname text, grantee text, grantable boolean)
        loop
            continue when v_grant.grantee = 'public' and v_object.kind = 'function';
            v_grants := v_grants || format('; grant %s%s on %s %s to %s%s', v_grant.privilege,
                case when v_grant.attname is not null then format(' (%I)', v_grant.attname) end,
                case when v_object.kind = 'function' then 'function' else 'table' end, v_name,
                v_grant.grantee, case when v_grant.grantable then ' with grant option' end);
            if v_grant.grantee <> 'public' and v_grant.attname is null
                and v_grant.privilege in ('EXECUTE', 'SELECT')
                and not grants_are_default(v_object.kind, v_object.oid)
            then
                insert into adoption_work (kind, id, survivor_id)
                values ('grant ' || v_object.kind, v_object.name || ' ' || v_grant.grantee,
                        v_grant.grantee)
                on conflict do nothing;
            end if;
        end loop;
        perform change_schema(
            format('drop %s %s', v_object.kind, v_name),
            rtrim(v_object.definition, E'; \n')
            || format('; alter %s %s owner to %I', v_object.kind, v_name, (
                   select pg_get_userbyid(coalesce(
                       (select proowner from pg_proc where v_object.kind = 'function' and oid = v_object.oid),
                       (select relowner from pg_class where v_object.kind = 'view' and oid = v_object.oid)))))
            || v_grants
            || coalesce(format('; comment on %s %s is %L', v_object.kind, v_name, (
                   select d.description from pg_description d
                   where d.objoid = v_object.oid and d.objsubid = 0
                     and d.classoid = case v_object.kind when 'function' then 'pg_proc'::regclass
                                                         else 'pg_class'::regclass end)), ''));
    end loop;
    foreach v_name in array array['sync_state', 'sync_locks'] loop
        continue when to_regclass(format(':data.%I', v_name)) is null or exists (
            select from owned_objects o
            where o.kind = 'table' and o.in_schema = 'data' and o.name = v_name);
        -- Nobody else may use a table in our schema: the migrations take the grants away.
        v_grants := (
            select coalesce(string_agg(format('; grant %s%s on :data.%I to %s%s', g.privilege,
                       ' (' || quote_ident(g.attname) || ')', v_name, g.grantee,
                       case when g.grantable then ' with grant option' end), ''), '')
            from jsonb_to_recordset(list_grants('table', to_regclass(format(':data.%I', v_name))))
                as g (privilege text, attname text, grantee text, grantable boolean));
        perform change_schema(
            format('alter table :data.%I set schema :own; alter table :own.%1$I rename to %2$I',
                   v_name, 'replaced_' || v_name),
            format('alter table :own.%2$I rename to %1$I; alter table :own.%1$I set schema :data',
                   v_name, 'replaced_' || v_name) || v_grants);
    end loop;
end
$$;

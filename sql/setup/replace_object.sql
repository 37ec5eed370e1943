-- Drops and creates a function or view that cannot be replaced in place, and grants again what was
-- granted on it. 2BP01 where something of somebody else's is built on it.
create or replace function :own.replace_object(
    p_kind text, p_schema regnamespace, p_name text, p_definition text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_oid oid := (select find_objects(p_kind, p_schema, p_name));
    v_grants jsonb := list_grants(p_kind, v_oid);
    v_name text := describe_object(p_kind, v_oid);
    v_grant record;
begin
    execute format('drop %s %s', p_kind, v_name);
    execute p_definition;
    v_oid := (select find_objects(p_kind, p_schema, p_name));
    perform withhold_object(p_kind, v_oid);
    for v_grant in
        select * from jsonb_to_recordset(v_grants)
            as g (privilege text, attname name, grantee text, grantable boolean)
        -- A grant on a column that is gone goes with it.
        where g.attname is null or exists (
            select from pg_attribute a where a.attrelid = v_oid and a.attname = g.attname)
    loop
        execute format('grant %s%s on %s %s to %s%s', v_grant.privilege,
            case when v_grant.attname is not null then format('(%I)', v_grant.attname) end,
            case when p_kind = 'function' then 'function' else 'table' end,
            describe_object(p_kind, v_oid), v_grant.grantee,
            case when v_grant.grantable then ' with grant option' else '' end);
    end loop;
end
$$;

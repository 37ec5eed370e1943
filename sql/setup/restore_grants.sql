-- Grants on a new function or relation what list_grants found on the one that it replaces, and
-- nothing else.
create or replace function :own.restore_grants(p_kind text, p_oid oid, p_grants jsonb)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_grant record;
begin
    perform withhold_object(p_kind, p_oid);
    for v_grant in
        select * from jsonb_to_recordset(p_grants)
            as g (privilege text, attname name, grantee text, grantable boolean)
        -- A grant on a column that is gone goes with it.
        where g.attname is null or exists (
            select from pg_attribute a where a.attrelid = p_oid and a.attname = g.attname)
    loop
        execute format('grant %s%s on %s %s to %s%s', v_grant.privilege,
            case when v_grant.attname is not null then format('(%I)', v_grant.attname) end,
            case when p_kind = 'function' then 'function' else 'table' end,
            describe_object(p_kind, p_oid), v_grant.grantee,
            case when v_grant.grantable then ' with grant option' else '' end);
    end loop;
end
$$;

-- Takes back what the server's defaults granted to others on a new function or relation.
create or replace function :own.withhold_object(p_kind text, p_oid oid)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_grantee text;
begin
    for v_grantee in
        select distinct g ->> 'grantee' from jsonb_array_elements(list_grants(p_kind, p_oid)) g
    loop
        execute format('revoke all on %s %s from %s',
                       case when p_kind = 'function' then 'function'
                            when (select relkind from pg_class where oid = p_oid) = 'S'
                                then 'sequence'
                            else 'table' end,
                       describe_object(p_kind, p_oid), v_grantee);
    end loop;
end
$$;

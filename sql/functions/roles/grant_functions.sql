-- Lets a role execute these functions of ours.
create or replace function :own.grant_functions(p_role text, p_names text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_function regprocedure;
begin
    if p_names = '{}' then
        return;
    end if;
    perform grant_usage(p_role);
    execute format('grant usage on schema :own to %I', p_role);
    for v_function in
        select p.oid
        from unnest(p_names) as n (name)
        join owned_objects o on o.kind = 'function' and o.name = n.name
        join pg_proc p on p.oid = o.object_oid
        where not has_function_privilege(p_role, p.oid, 'execute')
        order by n.name
    loop
        execute format('grant execute on function %s to %I', v_function, p_role);
    end loop;
end
$$;

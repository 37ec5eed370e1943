-- Takes from a role everything that grant_role gave it, for any purpose.
create or replace function :own.withdraw_role(p_role text)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_statement text;
    v_end text := format(' from %I', p_role);
begin
    delete from role_grants where role_name = p_role;
    for v_statement in
        select format('revoke all on %s from %I', relation, p_role)
        from owned_objects o
        join pg_class c on c.oid = o.object_oid
        cross join lateral (select c.oid::regclass as relation) r
        where o.in_schema = 'data' and o.kind in ('table', 'view')
        union all
        select format('revoke all on %s from %I', relation, p_role)
        from unnest(array[':own.owned_objects', ':own.owned_indexes',
                          ':own.messenger_schema_version', ':own.adoption_steps',
                          ':own.adopted_pages',
                          ':own.adopted_conversations', ':own.webhook_backlog']) as r (relation)
        union all
        select format('drop policy %I on %s', p.polname, p.polrelid::regclass)
        from owned_objects o
        join pg_policy p on p.polrelid = o.object_oid and p.polname = left(p_role, 57) || '_reads'
        where o.in_schema = 'data' and o.kind = 'table'
        union all
        select format('revoke all on function %s from %I', o.object_oid::regprocedure, p_role)
        from owned_objects o
        where o.kind = 'function' and o.object_oid is not null
        union all
        select format('revoke all on schema :own from %I', p_role)
    loop
        execute v_statement;
    end loop;
    -- What its owner grants from now on is the owner's.
    delete from adoption_changes c
    where c.undo like 'revoke %' and right(c.undo, length(v_end)) = v_end;
end
$$;

-- Lets a role read our tables and views of the data schema. Of facebook_pages only our own columns:
-- a column of the replaced application may hold tokens.
create or replace function :own.grant_reading(p_role text)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_object record;
    v_policy text := left(p_role, 57) || '_reads';
    v_column text;
begin
    perform grant_usage(p_role);
    for v_object in
        select o.kind, o.name, c.oid::regclass as relation, c.relrowsecurity
        from owned_objects o
        join pg_class c on c.oid = o.object_oid
        where o.in_schema = 'data' and o.kind in ('table', 'view')
        order by o.name
    loop
        if v_object.name = 'facebook_pages' then
            for v_column in
                select quote_ident(a.attname)
                from pg_attribute a
                where a.attrelid = v_object.relation and a.attname = any (list_page_columns())
                  and not a.attisdropped
                  and not has_column_privilege(p_role, a.attrelid, a.attnum, 'select')
                order by a.attnum
            loop
                perform grant_reversibly(
                    format('grant select (%s) on %s to %I', v_column, v_object.relation, p_role),
                    format('revoke select (%s) on %s from %I', v_column, v_object.relation, p_role));
            end loop;
        elsif not has_table_privilege(p_role, v_object.relation, 'select') then
            perform grant_reversibly(
                format('grant select on %s to %I', v_object.relation, p_role),
                format('revoke select on %s from %I', v_object.relation, p_role));
        end if;
        -- A policy waits for everybody who uses the table, so only where there is none.
        if v_object.relrowsecurity and not exists (
            select from pg_policy
            where polrelid = v_object.relation and polname = v_policy)
        then
            perform grant_reversibly(
                format('create policy %I on %s for select to %I using (true)',
                       v_policy, v_object.relation, p_role),
                format('drop policy if exists %I on %s', v_policy, v_object.relation));
        end if;
    end loop;
end
$$;

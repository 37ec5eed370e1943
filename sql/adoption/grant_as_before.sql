-- Grants ours to those who were allowed to use what they replace.
create or replace function :own.grant_as_before()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_grant record;
begin
    for v_grant in
        select w.kind, split_part(w.id, ' ', 1) as name, w.survivor_id as grantee
        from adoption_work w where w.kind in ('grant function', 'grant view')
    loop
        execute format('grant %s on %s to %s',
            case v_grant.kind when 'grant function' then 'execute' else 'select' end,
            case v_grant.kind when 'grant function' then (
                select 'function ' || describe_object('function', o.object_oid) from owned_objects o
                where o.in_schema = 'data' and o.kind = 'function' and o.name = v_grant.name)
            else format(':data.%I', v_grant.name) end, v_grant.grantee);
    end loop;
    delete from adoption_work where kind in ('grant function', 'grant view');
end
$$;

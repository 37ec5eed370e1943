-- What others than the owner may do with a function or relation, columns included: [{privilege,
-- attname, grantee, grantable}].
create or replace function :own.list_grants(p_kind text, p_oid oid)
returns jsonb
language sql stable
set search_path from current
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'privilege', g.privilege_type, 'attname', o.attname, 'grantable', g.is_grantable,
        'grantee', case g.grantee when 0 then 'public'
                       else quote_ident(pg_get_userbyid(g.grantee)) end)), '[]')
    from (
        select coalesce(proacl, acldefault('f', proowner)) as acl, proowner as owner,
               null::name as attname
        from pg_proc where p_kind = 'function' and oid = p_oid
        union all
        select relacl, relowner, null from pg_class where p_kind <> 'function' and oid = p_oid
        union all
        select a.attacl, c.relowner, a.attname
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where p_kind <> 'function' and a.attrelid = p_oid and not a.attisdropped
    ) o
    cross join aclexplode(o.acl) g
    where g.grantee <> o.owner
$$;

-- Whether others than the owner may do with a function or relation exactly what the server's default
-- privileges give them on a new one.
create or replace function :own.grants_are_default(p_kind text, p_oid oid)
returns boolean
language sql stable
set search_path from current
as $$
    with object as (
        select proowner as owner, pronamespace as namespace, 'f'::"char" as type, proacl as acl
        from pg_proc where p_kind = 'function' and oid = p_oid
        union all
        select relowner, relnamespace, 'r', relacl
        from pg_class where p_kind <> 'function' and oid = p_oid
    ),
    grants as (
        select 'actual' as which, o.owner, g.grantee, g.privilege_type, g.is_grantable
        from object o cross join aclexplode(coalesce(o.acl, acldefault(o.type, o.owner))) g
        union  -- the defaults of all schemas, or PostgreSQL's, and those of this schema
        select 'default', o.owner, g.grantee, g.privilege_type, g.is_grantable
        from object o
        cross join lateral (
            select coalesce((select defaclacl from pg_default_acl
                             where defaclrole = o.owner and defaclnamespace = 0
                               and defaclobjtype = o.type), acldefault(o.type, o.owner)) as acl
            union all
            select defaclacl from pg_default_acl
            where defaclrole = o.owner and defaclnamespace = o.namespace
              and defaclobjtype = o.type
        ) d
        cross join aclexplode(d.acl) g
    )
    select not exists (
        select grantee, privilege_type, is_grantable from grants where grantee <> owner
        group by 1, 2, 3 having count(*) <> 2)
       and not exists (select from pg_attribute
                       where p_kind <> 'function' and attrelid = p_oid and attacl is not null)
$$;

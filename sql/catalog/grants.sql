-- What others than the owner may do, by object and grantee. A star: with grant option. Privileges on
-- columns bear the column's name.
with objects as (
    select n.nspname, c.relname::text as relation,  -- a name would cut off signatures
           case c.relkind when 'S' then 'sequence' else 'table' end as kind,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname) as object, c.relowner as owner,
           coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end,
                                         c.relowner)) as acl,
           null::name as column_name, 'pg_class'::regclass as class, c.oid
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                      and d.objid = c.oid and d.deptype = 'i')
    union all
    select n.nspname, c.relname, 'table', quote_ident(n.nspname) || '.' || quote_ident(c.relname),
           c.relowner, a.attacl, a.attname, 'pg_class', c.oid
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    where a.attacl is not null and not a.attisdropped
    union all
    select n.nspname,
           quote_ident(p.proname) || '('
           || coalesce((select string_agg(format_type(t, null), ', ' order by position)
                        from unnest(p.proargtypes) with ordinality u (t, position)), '') || ')',
           case p.prokind when 'p' then 'procedure' else 'function' end,
           quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '('
           || coalesce((select string_agg(format_type(t, null), ', ' order by position)
                        from unnest(p.proargtypes) with ordinality u (t, position)), '') || ')',
           p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), null, 'pg_proc', p.oid
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    union all
    select n.nspname, t.typname, 'type', quote_ident(n.nspname) || '.' || quote_ident(t.typname),
           t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)), null, 'pg_type', t.oid
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    left join pg_class c on c.oid = t.typrelid
    where t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and c.relkind = 'c'
    union all
    select n.nspname, n.nspname, 'schema', quote_ident(n.nspname), n.nspowner,
           coalesce(n.nspacl, acldefault('n', n.nspowner)), null, 'pg_namespace', n.oid
    from pg_namespace n
)
select o.nspname, o.relation, o.kind || ' ' || coalesce(o.relation, o.nspname) || ' to '
       || r.grantee, null::oid, jsonb_build_object(
    'privileges', jsonb_agg(distinct lower(g.privilege_type)
        || coalesce(' (' || quote_ident(o.column_name) || ')', '')
        || case when g.is_grantable then '*' else '' end),
    '_kind', o.kind,
    '_object', o.object,
    '_grantee', r.grantee,
    '_owner', pg_get_userbyid(o.owner))
from objects o
cross join aclexplode(o.acl) g
cross join lateral (
    select case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end
           as grantee
) r
where o.nspname = any (%(schemas)s) and g.grantee <> o.owner
  and not exists (select from pg_depend d where d.classid = o.class and d.objid = o.oid
                  and d.deptype in ('e', 'i'))
group by o.nspname, o.relation, o.kind, o.object, o.owner, r.grantee

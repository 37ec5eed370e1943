-- The objects of a schema, one line each, in an order that is always the same.
with relations as (
    select c.oid, c.relname, c.relkind, c.relacl, c.relowner, c.relrowsecurity
    from pg_class c where c.relnamespace = ':schema'::regnamespace
), functions as (
    select p.* from pg_proc p where p.pronamespace = ':schema'::regnamespace and p.prokind <> 'a'
)
select format('column %s.%s %s%s%s%s acl %s', r.relname, a.attname,
              format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end,
              ' default ' || pg_get_expr(d.adbin, d.adrelid),
              ' identity ' || nullif(a.attidentity::text, ''), a.attacl)
from relations r
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind in ('r', 'v', 'm')
union all
select format('relation %s %s rls %s acl %s comment %s', r.relkind, r.relname,
              r.relrowsecurity,
              (select array_agg(x::text order by x::text) from unnest(r.relacl) x),
              obj_description(r.oid, 'pg_class'))
from relations r
union all
select format('view %s %s', relname, pg_get_viewdef(oid)) from relations
where relkind in ('v', 'm')
union all
select format('index %s', pg_get_indexdef(oid)) from relations where relkind = 'i'
union all
select format('constraint %s %s %s %s', r.relname, o.conname, pg_get_constraintdef(o.oid),
              o.convalidated)
from pg_constraint o join relations r on r.oid = o.conrelid where o.contype <> 'n'
union all
select format('trigger %s %s %s', r.relname, pg_get_triggerdef(t.oid), t.tgenabled)
from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
union all
select format('policy %s %s %s %s %s %s', p.tablename, p.policyname, p.roles, p.cmd, p.qual,
              p.with_check)
from pg_policies p where p.schemaname = ':schema'
union all
select format('function %s acl %s comment %s', pg_get_functiondef(oid),
              (select array_agg(x::text order by x::text) from unnest(proacl) x),
              obj_description(oid, 'pg_proc'))
from functions
order by 1

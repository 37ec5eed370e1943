-- Constraints of tables, without those that a parent table brings, and without not null, which
-- only PostgreSQL 18 and newer keep here.
select n.nspname, c.relname, k.conname, k.oid, jsonb_build_object(
    'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
    'validated', k.convalidated,
    'comment', obj_description(k.oid, 'pg_constraint'),
    '_type', k.contype,
    '_index', pg_get_indexdef(k.conindid),
    '_columns', (select jsonb_agg(a.attname order by u.position)
                 from unnest(k.conkey) with ordinality u (attnum, position)
                 join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
    '_expression', pg_get_expr(k.conbin, k.conrelid),
    '_target', k.confrelid::regclass::text,
    '_target_columns', (select jsonb_agg(a.attname order by u.position)
                        from unnest(k.confkey) with ordinality u (attnum, position)
                        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum),
    '_target_readable', (
        select has_schema_privilege(r.relnamespace, 'usage')
               and has_table_privilege(r.oid, 'select') and not row_security_active(r.oid)
        from pg_class r where r.oid = k.confrelid),
    '_full_match', k.confmatchtype = 'f',
    '_nulls_not_distinct', (select i.indnullsnotdistinct from pg_index i
                            where i.indexrelid = k.conindid))
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and k.contype in ('c', 'u', 'p', 'f', 'x')
  and k.conparentid = 0 and (k.conislocal or k.coninhcount = 0)
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype = 'e')

-- Views and materialized views.
select n.nspname, null::text, c.relname, c.oid, jsonb_build_object(
    'form', case c.relkind when 'm' then 'materialized view' else 'view' end,
    'definition', pg_get_viewdef(c.oid),
    'columns', (select jsonb_agg(quote_ident(a.attname) || ' '
                                 || format_type(a.atttypid, a.atttypmod) order by a.attnum)
                from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'options', (select coalesce(jsonb_agg(o order by o), '[]') from unnest(c.reloptions) o),
    'comment', obj_description(c.oid, 'pg_class'),
    '_readable', has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'),
    '_owner', pg_get_userbyid(c.relowner))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('v', 'm')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype = 'e')

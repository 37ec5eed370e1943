-- Tables: ordinary, partitioned and foreign ones. Not those of extensions.
select n.nspname, null::text, c.relname, c.oid, jsonb_build_object(
    'form', case c.relkind when 'p' then 'partitioned table' when 'f' then 'foreign table'
                           else 'table' end,
    'unlogged', c.relpersistence = 'u',
    'partition_key', pg_get_partkeydef(c.oid),
    'partition_bound', pg_get_expr(c.relpartbound, c.oid),
    'parents', (select coalesce(jsonb_agg(i.inhparent::regclass::text order by i.inhseqno), '[]')
                from pg_inherits i where i.inhrelid = c.oid),
    'row_security', c.relrowsecurity,
    'force_row_security', c.relforcerowsecurity,
    'options', (select coalesce(jsonb_agg(o order by o), '[]') from unnest(c.reloptions) o),
    'replica_identity',
        case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'd' then 'default'
        else (select 'index ' || r.relname from pg_index i join pg_class r on r.oid = i.indexrelid
              where i.indrelid = c.oid and i.indisreplident) end,
    'comment', obj_description(c.oid, 'pg_class'),
    -- A count of rows says nothing where privileges or policies hide some.
    '_readable', has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                 and not row_security_active(c.oid),
    '_owner', pg_get_userbyid(c.relowner))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'f')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype = 'e')

-- Columns of tables. Their order is no difference: a dropped column leaves a hole in it.
select n.nspname, c.relname, a.attname, a.attrelid, jsonb_build_object(
    'type', format_type(a.atttypid, a.atttypmod),
    -- PostgreSQL 18 has a constraint for each, and one may not be validated yet.
    'nullability', case when not a.attnotnull then 'nullable' when k.conname is null then 'not null'
                        else 'not null, not validated' end,
    'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
    'generated', '(' || pg_get_expr(d.adbin, d.adrelid)
                 || case a.attgenerated when 's' then ') stored' when 'v' then ') virtual' end,
    'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
    'identity_options', (
        select format('increment %%s minvalue %%s maxvalue %%s start %%s cache %%s%%s', s.seqincrement,
                      s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                      case when s.seqcycle then ' cycle' else '' end)
        from pg_depend e join pg_sequence s on s.seqrelid = e.objid
        where e.classid = 'pg_class'::regclass and e.refclassid = 'pg_class'::regclass
          and e.refobjid = a.attrelid and e.refobjsubid = a.attnum and e.deptype = 'i'),
    'collation', case when a.attcollation <> t.typcollation then
        (select quote_ident(ln.nspname) || '.' || quote_ident(l.collname)
         from pg_collation l join pg_namespace ln on ln.oid = l.collnamespace
         where l.oid = a.attcollation) end,
    'comment', col_description(a.attrelid, a.attnum),
    '_inherited', a.attinhcount > 0,
    '_local', a.attislocal,
    '_domain', t.typtype = 'd',
    '_constraint', k.conname,
    '_position', a.attnum)
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_constraint k on k.conrelid = a.attrelid and k.contype = 'n'
                         and k.conkey = array[a.attnum] and not k.convalidated
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'f')
  and a.attnum > 0 and not a.attisdropped
  and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                  and e.objid = c.oid and e.deptype = 'e')

-- Enums, domains, composite and range types. Not the row types of tables.
select n.nspname, null::text, t.typname, t.oid, jsonb_build_object(
    'form', case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range'
                           else 'composite type' end,
    'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e
               where e.enumtypid = t.oid),
    'base', case t.typtype when 'd' then format_type(t.typbasetype, t.typtypmod)
                           when 'r' then (select format_type(r.rngsubtype, null) from pg_range r
                                          where r.rngtypid = t.oid) end,
    'nullability', case when t.typtype = 'd' then case when t.typnotnull then 'not null'
                                                       else 'nullable' end end,
    'default', t.typdefault,
    'collation', case when t.typtype = 'd' then
        (select quote_ident(ln.nspname) || '.' || quote_ident(l.collname)
         from pg_type b join pg_collation l on l.oid = t.typcollation
         join pg_namespace ln on ln.oid = l.collnamespace
         where b.oid = t.typbasetype and b.typcollation <> t.typcollation) end,
    'constraints', (select jsonb_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
                                     order by k.conname)
                    from pg_constraint k where k.contypid = t.oid and k.contype = 'c'),
    'attributes', (select jsonb_agg(quote_ident(a.attname) || ' '
                                    || format_type(a.atttypid, a.atttypmod) order by a.attnum)
                   from pg_attribute a
                   where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped),
    'comment', obj_description(t.oid, 'pg_type'))
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_class c on c.oid = t.typrelid
where n.nspname = any (%(schemas)s)
  and (t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and c.relkind = 'c')
  and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass
                  and d.objid = t.oid and d.deptype = 'e')

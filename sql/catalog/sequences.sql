-- Sequences, without those inside identity columns.
select n.nspname, null::text, c.relname, c.oid, jsonb_build_object(
    'type', format_type(s.seqtypid, null),
    'options', format('increment %%s minvalue %%s maxvalue %%s start %%s cache %%s%%s', s.seqincrement,
                      s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                      case when s.seqcycle then ' cycle' else '' end),
    'owned_by', (select d.refobjid::regclass::text || '.' || quote_ident(a.attname)
                 from pg_depend d join pg_attribute a on a.attrelid = d.refobjid
                                                     and a.attnum = d.refobjsubid
                 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'a'
                   and d.refclassid = 'pg_class'::regclass),
    'comment', obj_description(c.oid, 'pg_class'),
    '_owner_table', (select t.relname from pg_depend d join pg_class t on t.oid = d.refobjid
                     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'a'
                       and d.refclassid = 'pg_class'::regclass))
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype in ('e', 'i'))

-- Triggers of tables and views, without those that a partitioned table brings to its partitions.
select n.nspname, c.relname, t.tgname, t.oid, jsonb_build_object(
    'definition', pg_get_triggerdef(t.oid),
    'enabled', case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'on replicas'
                                when 'A' then 'always' end,
    'comment', obj_description(t.oid, 'pg_trigger'),
    '_constraint', t.tgconstraint <> 0)
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and not t.tgisinternal and t.tgparentid = 0
  and not exists (select from pg_depend d where d.classid = 'pg_trigger'::regclass
                  and d.objid = t.oid and d.deptype = 'e')

-- Rules, without those that make a view.
select n.nspname, c.relname, r.rulename, null::oid, jsonb_build_object(
    'definition', pg_get_ruledef(r.oid),
    'enabled', r.ev_enabled = 'O')
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and r.rulename <> '_RETURN'
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype = 'e')

-- Extended statistics.
select n.nspname, c.relname, s.stxname, s.oid, jsonb_build_object(
    'definition', pg_get_statisticsobjdef(s.oid))
from pg_statistic_ext s
join pg_class c on c.oid = s.stxrelid
join pg_namespace n on n.oid = s.stxnamespace
where n.nspname = any (%(schemas)s)

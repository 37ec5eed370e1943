-- Indexes that no constraint has, without the parts of a partitioned table's.
select n.nspname, c.relname, x.relname, x.oid, jsonb_build_object(
    'definition', pg_get_indexdef(x.oid),
    'valid', i.indisvalid and i.indisready,
    'comment', obj_description(x.oid, 'pg_class'),
    '_unique', i.indisunique,
    '_expressions', (select jsonb_agg(pg_get_indexdef(x.oid, k, false) order by k)
                     from generate_series(1, i.indnkeyatts) k),
    '_predicate', pg_get_expr(i.indpred, i.indrelid),
    '_nulls_not_distinct', i.indnullsnotdistinct)
from pg_index i
join pg_class x on x.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and not x.relispartition
  and not exists (select from pg_constraint k
                  where k.conindid = x.oid and k.contype in ('p', 'u', 'x'))
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid in (c.oid, x.oid) and d.deptype = 'e')

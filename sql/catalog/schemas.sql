-- The schemas themselves.
select n.nspname, null::text, n.nspname, n.oid,
       jsonb_build_object('comment', obj_description(n.oid, 'pg_namespace'))
from pg_namespace n
where n.nspname = any (%(schemas)s)

-- Extensions: their objects are left out elsewhere. Another version of one is no difference.
select '', null::text, e.extname, null::oid, '{}'::jsonb
from pg_extension e

-- The functions, or the relation of any kind, with that name in the schema.
create or replace function :own.find_objects(p_kind text, p_schema regnamespace, p_name text)
returns setof oid
language sql stable
set search_path from current
as $$
    select oid from pg_proc
    where p_kind = 'function' and pronamespace = p_schema and proname = p_name
    union all
    select oid from pg_class
    where p_kind <> 'function' and relnamespace = p_schema and relname = p_name
$$;

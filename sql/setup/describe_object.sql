-- A function with its arguments, or a relation, as a statement names it.
create or replace function :own.describe_object(p_kind text, p_oid oid)
returns text
language sql stable
-- Nothing of ours is visible here: every name comes with its schema.
set search_path = pg_catalog
as $$
    select case when p_kind = 'function' then p_oid::regprocedure::text
                else p_oid::regclass::text end
$$;

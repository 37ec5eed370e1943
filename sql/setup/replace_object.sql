-- Drops and creates a function or view that cannot be replaced in place, and grants again what was
-- granted on it. 2BP01 where something of somebody else's is built on it.
create or replace function :own.replace_object(
    p_kind text, p_schema regnamespace, p_name text, p_definition text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_oid oid := (select find_objects(p_kind, p_schema, p_name));
    v_grants jsonb := list_grants(p_kind, v_oid);
begin
    execute format('drop %s %s', p_kind, describe_object(p_kind, v_oid));
    execute p_definition;
    perform restore_grants(p_kind, (select find_objects(p_kind, p_schema, p_name)), v_grants);
end
$$;

-- Drops and creates a function or view that cannot be replaced in place, and grants again what was
-- granted on it. 2BP01 where something of somebody else's is built on it.
create or replace function :own.replace_object(
    p_kind text, p_oid oid, p_definition text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_grants jsonb := list_grants(p_kind, p_oid);
    -- The new one's too: a function that cannot be replaced in place has the same arguments.
    v_name text := describe_object(p_kind, p_oid);
begin
    execute format('drop %s %s', p_kind, v_name);
    execute p_definition;
    perform restore_grants(
        p_kind, case when p_kind = 'function' then to_regprocedure(v_name)::oid
                     else to_regclass(v_name)::oid end, v_grants);
end
$$;

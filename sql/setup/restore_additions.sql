-- Applies what list_additions found on a view or function to the one that replaces it.
create or replace function :own.restore_additions(p_kind text, p_oid oid, p_additions jsonb)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_statement text;
begin
    for v_statement in
        select a.statement
        from jsonb_to_recordset(p_additions) as a (statement text, attname name)
        -- A comment on a column that is gone goes with it.
        where a.attname is null or exists (
            select from pg_attribute c where c.attrelid = p_oid and c.attname = a.attname)
    loop
        execute format(v_statement, describe_object(p_kind, p_oid));
    end loop;
end
$$;

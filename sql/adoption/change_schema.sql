-- Runs a statement that changes the adopted schema, and records what undoes it.
create or replace function :own.change_schema(p_statement text, p_undo text)
returns void
language plpgsql
set search_path from current
as $$
begin
    execute p_statement;
    insert into adoption_changes (statement, undo) values (p_statement, p_undo);
end
$$;

-- Runs a statement that lets a role use a table of the data schema. In an adopted database it records
-- what takes that back: the replaced application gets its tables back as they were.
create or replace function :own.grant_reversibly(p_statement text, p_undo text)
returns void
language plpgsql
set search_path from current
as $$
begin
    execute p_statement;
    if exists (select from adoption_steps) then
        insert into adoption_changes (statement, undo) values (p_statement, p_undo);
    end if;
end
$$;

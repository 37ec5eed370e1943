-- Runs statements in their order.
create or replace function :own.execute_all(p_statements text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_statement text;
begin
    foreach v_statement in array p_statements loop
        execute v_statement;
    end loop;
end
$$;

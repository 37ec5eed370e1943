-- A column's name for use in a statement, with the table's alias; p_else where the table has none.
create or replace function :own.column_or(p_table text, p_column text, p_else text)
returns text
language sql stable
set search_path from current
as $$
    select case when exists (select from list_table_columns() c
                             where c.table_name = p_table and c.column_name = p_column)
                then format('%s.%I', left(p_table, 1), p_column) else p_else end
$$;

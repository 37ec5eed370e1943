-- Columns that must be given in the replaced application's tables, and may be NULL in rows of ours.
create or replace function :own.list_optional_columns()
returns table (table_name text, column_name text)
language sql stable
set search_path from current
as $$
    select c.table_name, c.column_name
    from list_table_columns() c
    left join list_known_columns() k using (table_name, column_name)
    where c.is_not_null
      and (k.optional or c.table_name = 'facebook_pages' and c.column_name in (
          select list_token_columns()))
$$;

-- Adds what our functions use and a table lacks: columns, defaults. Nothing is rewritten or read.
create or replace function :own.adopt_columns(p_table text)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_table text := format(':data.%I', p_table);
    v_column record;
begin
    for v_column in
        select k.column_name, k.declared, k.default_value, c.column_name is null as is_missing
        from list_known_columns() k
        left join list_table_columns() c using (table_name, column_name)
        where k.table_name = p_table
          and (c.column_name is null and k.declared is not null
               or k.default_value is not null and c.default_value is null)
    loop
        if v_column.is_missing then
            perform change_schema(
                format('alter table %s add column %I %s', v_table, v_column.column_name,
                       v_column.declared),
                format('alter table %s drop column %I', v_table, v_column.column_name));
        else
            perform change_schema(
                format('alter table %s alter column %I set default %s', v_table,
                       v_column.column_name, v_column.default_value),
                format('alter table %s alter column %I drop default', v_table,
                       v_column.column_name));
        end if;
    end loop;
    for v_column in select * from list_optional_columns() o where o.table_name = p_table loop
        perform change_schema(
            format('alter table %s alter column %I drop not null', v_table, v_column.column_name),
            format('alter table %s alter column %I set not null', v_table, v_column.column_name));
    end loop;
end
$$;

-- The columns of a table, each as its name and type.
create or replace function :own.list_columns(p_table oid)
returns text[]
language sql stable
set search_path from current
as $$
    select array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) order by attnum)
    from pg_attribute where attrelid = p_table and attnum > 0 and not attisdropped
$$;

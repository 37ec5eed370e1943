-- The foreign keys on the id of a table: of every table, the adopted ones too. Those that do not
-- refer to the id alone have no column.
create or replace function :own.list_references(p_table text)
returns table (constraint_name text, referencing regclass, column_name text)
language sql stable
set search_path from current
as $$
    select o.conname::text, o.conrelid::regclass,
           case when cardinality(o.confkey) = 1 and r.attname = 'id' then a.attname::text end
    from pg_constraint o
    join pg_attribute a on a.attrelid = o.conrelid and a.attnum = o.conkey[1]
    join pg_attribute r on r.attrelid = o.confrelid and r.attnum = o.confkey[1]
    where o.contype = 'f' and o.conparentid = 0
      and o.confrelid = to_regclass(format(':data.%I', p_table))
      and o.connamespace <> ':own'::regnamespace
$$;

-- Returns the indexes and constraints on record that are missing or invalid, of tables that exist.
-- The owner may have given one another name.
create or replace function :own.find_missing_indexes()
returns table (table_name text, name text, definition text)
language plpgsql stable
-- So that the definitions name every schema, as those on record do.
set search_path to pg_catalog
as $$
#variable_conflict use_column
begin
    -- Before the migration that creates it.
    if to_regclass(':own.owned_indexes') is null then
        return;
    end if;
    return query
    select o.table_name, o.name, o.definition
    from :own.owned_indexes o
    where to_regclass(o.table_name) is not null
      and not exists (
          select from pg_constraint k
          where k.conrelid = to_regclass(o.table_name)
            and (k.conname = o.name or pg_get_constraintdef(k.oid) = o.definition
                 or k.contype = 'p' and o.definition like 'PRIMARY KEY%'))
      and not exists (
          select from pg_index i join pg_class c on c.oid = i.indexrelid
          where i.indrelid = to_regclass(o.table_name) and i.indisvalid
            and (c.relname = o.name
                 or replace(pg_get_indexdef(i.indexrelid), quote_ident(c.relname),
                            quote_ident(o.name)) = o.definition))
    -- Keys first: foreign keys need them.
    order by o.definition like 'FOREIGN KEY%', o.table_name, o.name;
end
$$;

-- Puts the indexes and constraints of our tables on record, so that they can be created again. Only
-- those with one of p_names, which migrations use: others are the owner's.
create or replace function :own.record_indexes(p_names text[])
returns void
language plpgsql
-- So that the definitions name every schema.
set search_path to pg_catalog
as $$
begin
    -- Before the migration that creates it, and after a downgrade.
    if to_regclass(':own.owned_indexes') is null then
        return;
    end if;
    delete from :own.owned_indexes;
    insert into :own.owned_indexes (table_name, name, definition)
    select t.oid::regclass::text, k.conname, pg_get_constraintdef(k.oid)
    from :own.owned_objects o
    join pg_class t on t.relname = o.name and t.relnamespace = :own.find_schema(o.in_schema)
    join pg_constraint k on k.conrelid = t.oid
    where o.kind = 'table' and k.conname = any (p_names) and k.contype in ('p', 'u', 'f', 'c')
    union all
    select t.oid::regclass::text, c.relname, pg_get_indexdef(i.indexrelid)
    from :own.owned_objects o
    join pg_class t on t.relname = o.name and t.relnamespace = :own.find_schema(o.in_schema)
    join pg_index i on i.indrelid = t.oid
    join pg_class c on c.oid = i.indexrelid
    where o.kind = 'table' and c.relname = any (p_names)
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid);
end
$$;

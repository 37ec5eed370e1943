-- Drops the unique indexes of events that ours replace: they would refuse two messages of one second
-- when two conversations are merged.
create or replace function :own.drop_replaced_indexes()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_index record;
begin
    for v_index in
        select i.indexrelid::regclass as name, pg_get_indexdef(i.indexrelid) as definition,
               o.conname, pg_get_constraintdef(o.oid) as constraint_definition
        from list_replaced_indexes() i
        left join pg_constraint o on o.conindid = i.indexrelid and o.contype = 'u'
    loop
        if v_index.conname is null then
            perform change_schema(
                format('drop index %s', describe_object('index', v_index.name)), v_index.definition);
        else
            perform change_schema(
                format('alter table :data.contact_interaction_events drop constraint %I',
                       v_index.conname),
                format('alter table :data.contact_interaction_events add constraint %I %s',
                       v_index.conname, v_index.constraint_definition));
        end if;
    end loop;
    -- Compared with ids of ours, which are in "C". Without an index nothing is rebuilt.
    if exists (
        select from pg_attribute a
        where a.attrelid = 'contact_interaction_events'::regclass and a.attname = 'message_id'
          and a.attcollation <> '"C"'::regcollation
          and not exists (select from list_dependents('pg_class', a.attrelid, a.attnum))
          and not exists (select from pg_index i where i.indrelid = a.attrelid
                          and pg_get_indexdef(i.indexrelid) ~ '\mmessage_id\M'))
    then
        perform change_schema(
            'alter table :data.contact_interaction_events alter column message_id type text collate "C"',
            'alter table :data.contact_interaction_events alter column message_id type text');
    end if;
end
$$;

-- Records an index that was built concurrently.
create or replace function :own.record_index(p_name text)
returns void
language sql
set search_path from current
as $$
    insert into adoption_changes (statement, undo)
    select pg_get_indexdef(format(':data.%I', p_name)::regclass),
           format('drop index :data.%I', p_name)
    where not exists (select from adoption_changes
                      where undo = format('drop index :data.%I', p_name))
$$;

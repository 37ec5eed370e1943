-- Returns whether our objects exist and the caller may write the tables of conversations and events.
-- Then an error such as an undefined object or a missing privilege may be that of a trigger or policy
-- of the owner's, which concerns one row.
create or replace function :own.is_schema_usable()
returns boolean
language sql stable security definer
set search_path from current
as $$
    select find_missing_objects() is null and (
        select bool_and(has_table_privilege(r.name, p.name))
        from unnest(array[
            'messenger_conversations'::regclass, 'contact_interaction_events'::regclass]) as r (name)
        cross join unnest(array['select', 'insert', 'update', 'delete']) as p (name))
$$;

-- Puts the adopted tables on record as ours. Where row level security is on, our role passes it.
create or replace function :own.adopt_tables()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_table pg_class;
begin
    for v_table in
        select r.* from pg_class r
        where r.relnamespace = ':data'::regnamespace and r.relkind = 'r'
          and r.relname in ('facebook_pages', 'messenger_conversations',
                            'contact_interaction_events')
    loop
        if v_table.relrowsecurity then
            perform change_schema(
                format('create policy %I on :data.%I to %I using (true) with check (true)',
                       v_table.relname || '_pipeline', v_table.relname, current_user),
                format('drop policy %I on :data.%I', v_table.relname || '_pipeline',
                       v_table.relname));
        end if;
        insert into owned_objects (in_schema, kind, name, object_oid, definition_digest)
        values ('data', 'table', v_table.relname, v_table.oid, list_columns(v_table.oid)::text)
        on conflict do nothing;
    end loop;
end
$$;

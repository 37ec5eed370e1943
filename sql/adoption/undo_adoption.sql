-- Gives the replaced application its tables back: takes away what is ours in the data schema, and
-- undoes what the adoption changed. Every conversation and event stays; merged rows stay merged.
-- What remains of ours: tokens, quarantined records, and merged_rows, in our own schema.
--
-- Returns what is worth knowing, as sentences.
create or replace function :own.undo_adoption()
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_adopted constant text[] :=
        array['facebook_pages', 'messenger_conversations', 'contact_interaction_events'];
    v_kept constant text[] := array['owned_objects', 'page_tokens', 'quarantined_records',
        'merged_rows', 'adoption_changes', 'messenger_schema_version'];
    v_triggers text[];
    v_object record;
    v_note text;
begin
    if exists (select from webhook_inbox where state in ('pending', 'failed')) then
        raise exception 'webhook_inbox holds deliveries that are not applied; a downgrade would lose them'
            using errcode = 'MPX01', detail = 'Apply or export them first.';
    end if;
    -- The owner's triggers would change what is given back, such as updated_at.
    v_triggers := array(
        select format('alter table %s %%s trigger %I', t.tgrelid::regclass, t.tgname)
        from pg_trigger t
        where not t.tgisinternal and t.tgenabled = 'O'
          and t.tgrelid in (select to_regclass(format(':data.%I', n)) from unnest(v_adopted) n));
    perform execute_all(array(select format(t, 'disable') from unnest(v_triggers) t));
    for v_object in select unnest(v_adopted) as name loop
        perform restore_values(v_object.name);
    end loop;

    -- Ours, of which the names are given back.
    for v_object in
        select o.kind, f.oid
        from owned_objects o
        cross join find_objects(o.kind, ':data'::regnamespace, o.name) as f (oid)
        where o.in_schema = 'data' and o.kind in ('view', 'function')
          and o.installed_digest = digest_object(o.kind, f.oid)
        order by o.kind desc
    loop
        execute format('drop %s %s', v_object.kind, describe_object(v_object.kind, v_object.oid));
    end loop;
    for v_object in
        select c.oid from pg_class c
        where c.relnamespace = ':own'::regnamespace and c.relkind = 'v'
    loop
        execute format('drop view %s', describe_object('view', v_object.oid));
    end loop;
    -- In one statement, which fails if something of the owner's is built on one of them.
    execute (
        select 'drop table ' || string_agg(describe_object('table', c.oid), ', ')
        from pg_class c
        where c.relkind = 'r' and (
            c.relnamespace = ':own'::regnamespace and c.relname <> all (v_kept)
              and c.relname not like 'replaced\_%'
            or c.relnamespace = ':data'::regnamespace and c.relname in ('sync_state', 'sync_locks')
              and exists (select from owned_objects o
                          where o.in_schema = 'data' and o.kind = 'table' and o.name = c.relname)));

    for v_object in select c.undo from adoption_changes c order by c.id desc loop
        v_note := undo_change(v_object.undo);
        if v_note is not null then
            return next v_note;
        end if;
    end loop;
    perform execute_all(array(
        select format(t, 'enable') from unnest(v_triggers) t
        where exists (select from pg_trigger g
                      where format('alter table %s %%s trigger %I', g.tgrelid::regclass, g.tgname) = t)));
    return query
    select format('%s rows of %s stay merged; merged_rows in the schema :own says into which.',
                  count(*), m.table_name)
    from merged_rows m group by m.table_name order by m.table_name;
    drop table adoption_changes;
    delete from owned_objects where kind <> 'schema';
    insert into owned_objects (in_schema, kind, name)
    select 'own', 'table', n from unnest(array['page_tokens', 'quarantined_records', 'merged_rows']) n;
end
$$;

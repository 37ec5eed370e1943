-- First of undoing an adoption: gives rows the values that it replaced, and takes our functions and
-- views from the data schema, so that their names are free.
--
-- The owner's triggers do not fire from here to finish_undo: they would change what is given back,
-- such as updated_at.
create or replace function :own.begin_undo()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_object record;
    v_columns text;
begin
    create temporary table disabled_triggers on commit drop as
    select t.tgrelid::regclass as relation, t.tgname as name,
           case t.tgenabled when 'A' then 'enable always' else 'enable' end as again
    from pg_trigger t
    where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgname not like 'messenger\_pipeline\_%'
      and t.tgrelid in (
          to_regclass(':data.facebook_pages'), to_regclass(':data.messenger_conversations'),
          to_regclass(':data.contact_interaction_events'));
    perform execute_all(array(
        select format('alter table %s disable trigger %I', relation, name) from disabled_triggers));
    perform restore_values('facebook_pages');
    perform restore_values('messenger_conversations');
    perform restore_values('contact_interaction_events');
    -- Of what syncs merged it has each, too. Some came back.
    delete from merged_rows m
    using contact_interaction_events e
    where m.table_name = 'contact_interaction_events' and m.merged_id = e.id::text;
    -- The migrations empty it, for the next upgrade. The replaced application reads it, too.
    create temporary table kept_page_times on commit drop as
    select null::text as id, null::timestamptz as last_synced_at limit 0;
    if column_or('facebook_pages', 'last_synced_at', null) is not null then
        insert into kept_page_times select id::text, last_synced_at from facebook_pages;
    end if;

    for v_object in
        select o.kind, f.oid
        from owned_objects o
        cross join find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
        where (o.in_schema = 'data' and o.kind in ('view', 'function')
               or o.in_schema = 'own' and o.kind = 'view')
          and (o.object_oid = f.oid or o.installed_digest = digest_object(o.kind, f.oid))
        order by o.kind desc
    loop
        execute format('drop %s %s', v_object.kind, describe_object(v_object.kind, v_object.oid));
    end loop;
    delete from owned_objects where in_schema = 'data' and kind in ('view', 'function');
end
$$;

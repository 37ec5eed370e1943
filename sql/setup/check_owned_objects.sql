-- Run by an upgrade or downgrade before it changes anything: MPX01 unless the tables on record are
-- there, and are those that we made.
create or replace function :own.check_owned_objects()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_names text;
begin
    if (select installed_digest from owned_objects where kind = 'schema')
        is distinct from identify_database()
    then
        perform adopt_restored_objects();
    end if;
    if exists (select from pg_namespace n cross join aclexplode(n.nspacl) g
               where n.oid = ':own'::regnamespace and g.grantee = 0)
    then
        revoke all on schema :own from public;
    end if;
    -- One that was restored from a backup has all columns of ours.
    update owned_objects o
    set object_oid = to_regclass(format(':data.%I', o.name))
    where o.kind = 'table' and o.in_schema = 'data'
      and o.object_oid <> to_regclass(format(':data.%I', o.name))
      and o.definition_digest::text[] <@ list_columns(to_regclass(format(':data.%I', o.name)));
    select string_agg(f.oid::regclass::text, ', ' order by o.name) into v_names
    from owned_objects o
    cross join find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
    where o.kind = 'table' and o.in_schema = 'data' and f.oid <> o.object_oid;
    if v_names is not null then
        raise exception 'not the tables that messenger-pipeline made, but others under their names: %',
            v_names
            using errcode = 'MPX01',
                  detail = 'Rename them, restore ours from a backup, and run the command again.';
    end if;
    -- After a downgrade to base the owner may drop what it kept.
    if to_regclass(':own.messenger_schema_version') is null then
        return;
    end if;
    if not exists (select from messenger_schema_version) then
        return;
    end if;
    select string_agg(o.name, ', ' order by o.name) into v_names
    from owned_objects o
    where o.kind = 'table' and o.in_schema = 'data'
      and not exists (select from find_objects(o.kind, find_schema(o.in_schema), o.name));
    if v_names is not null then
        raise exception 'tables of messenger-pipeline are missing in the schema :data: %', v_names
            using errcode = 'MPX01',
                  detail = 'Restore them from a backup. If you dropped them on purpose, drop the'
                           ' schema :own too, upgrade, and add each page again.';
    end if;
end
$$;

-- Run first by each upgrade, in its transaction: our own schema, and the record of what we made in
-- the data schema. Refuses (MPX01) to touch what is somebody else's.
do $$
declare
    v_grantee text;
begin
    if current_setting('server_version_num')::integer < 150000 then
        raise exception 'this server is PostgreSQL %; messenger-pipeline needs 15 or newer',
            current_setting('server_version') using errcode = 'MPX01';
    end if;
    if to_regnamespace(':data') is null then
        raise exception 'the schema :data of MESSENGER_DATABASE_SCHEMA does not exist'
            using errcode = 'MPX01', detail = 'Create it, or name another.';
    end if;
    if to_regclass(':data.messenger_schema_version') is not null then
        raise exception 'the schema :data was made by a version before the first release, which cannot be upgraded'
            using errcode = 'MPX01',
                  detail = 'Use a new database or another MESSENGER_DATABASE_SCHEMA, and add the pages there.';
    end if;
    if to_regnamespace(':own') is null then
        create schema :own;
        -- Default privileges may open new schemas to others.
        for v_grantee in
            select case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end
            from pg_namespace n cross join aclexplode(n.nspacl) g
            where n.oid = ':own'::regnamespace and g.grantee <> n.nspowner
        loop
            execute format('revoke all on schema :own from %s', v_grantee);
        end loop;
    elsif to_regclass(':own.owned_objects') is null and exists (
        select from pg_class where relnamespace = ':own'::regnamespace
        union all
        select from pg_proc where pronamespace = ':own'::regnamespace)
    then
        raise exception 'the schema :own is there already, and is not messenger-pipeline''s'
            using errcode = 'MPX01',
                  detail = 'Rename it, or choose another MESSENGER_DATABASE_SCHEMA.';
    end if;
end
$$;

create table if not exists :own.owned_objects (
    in_schema text not null
        constraint owned_objects_schema check (in_schema in ('data', 'own')),
    kind text not null
        constraint owned_objects_kind check (kind in ('table', 'function', 'view')),
    name text collate "C" not null,
    definition_digest text,
    installed_digest text,
    constraint owned_objects_pkey primary key (in_schema, kind, name)
);
comment on table :own.owned_objects is
    'What we made: an upgrade replaces only that. Of the tables only those of the data schema.';
comment on column :own.owned_objects.definition_digest is 'Of the file that it was made from.';
comment on column :own.owned_objects.installed_digest is 'Of what the server made of it.';

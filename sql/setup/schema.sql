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
    end if;
    if to_regclass(':own.owned_objects') is null then
        -- Made beforehand, or by default privileges, it may be open to others.
        for v_grantee in
            select case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end
            from pg_namespace n cross join aclexplode(n.nspacl) g
            where n.oid = ':own'::regnamespace and g.grantee <> n.nspowner
        loop
            execute format('revoke all on schema :own from %s', v_grantee);
        end loop;
        if exists (
            select from pg_class where relnamespace = ':own'::regnamespace
            union all
            select from pg_proc where pronamespace = ':own'::regnamespace)
        then
            raise exception 'the schema :own is there already, and is not messenger-pipeline''s'
                using errcode = 'MPX01',
                      detail = 'Rename it, or choose another MESSENGER_DATABASE_SCHEMA.';
        end if;
    end if;
end
$$;

create table if not exists :own.owned_objects (
    in_schema text not null
        constraint owned_objects_schema check (in_schema in ('data', 'own')),
    kind text not null
        constraint owned_objects_kind check (kind in ('schema', 'table', 'function', 'view')),
    name text collate "C" not null,
    definition_digest text,
    installed_digest text,
    replaced_oid oid,
    object_oid oid,
    constraint owned_objects_pkey primary key (in_schema, kind, name)
);
do $$
begin
    if not exists (select from pg_attribute
                   where attrelid = ':own.owned_objects'::regclass and attname = 'object_oid')
    then
        alter table :own.owned_objects add column object_oid oid;
    end if;
end
$$;
comment on table :own.owned_objects is
    'What we made: an upgrade replaces only that. Of the tables only those of the data schema.';
comment on column :own.owned_objects.definition_digest is
    'Of the file that it was made from; NULL where a downgrade left it, because it was altered.
    Of a table: the columns that it was made with.';
comment on column :own.owned_objects.installed_digest is
    'Of what the server made of it. Of the schema: the database in which the oids are true.';
comment on column :own.owned_objects.object_oid is
    'The object itself: another one of its name is somebody else''s. NULL: not known.';
comment on column :own.owned_objects.replaced_oid is
    'Of an overload with other arguments, until drop_undefined drops it.';

-- Two data schemas may not share one of ours: public and messenger would.
insert into :own.owned_objects (in_schema, kind, name)
select 'data', 'schema', ':data'::regnamespace::text
where not exists (select from :own.owned_objects where kind = 'schema');
do $$
declare
    v_data text := (select name from :own.owned_objects where kind = 'schema');
begin
    if v_data <> ':data'::regnamespace::text then
        raise exception 'the schema :own belongs to the data schema %', v_data
            using errcode = 'MPX01', detail = 'Choose another MESSENGER_DATABASE_SCHEMA.';
    end if;
end
$$;

-- Three group roles for messenger-pipeline, which log in by none: make login roles members of them.
--
--     messenger-pipeline db upgrade
--     messenger-pipeline psql -f roles.sql
--     create role etl login password '…' in role messenger_sync;
--
-- messenger_sync      Dagster's processes, `sync`, `status`, `alerts`
-- messenger_receiver  `serve`
-- messenger_reader    people and dashboards, as `messenger-pipeline db grant-read`
--
-- None of them can alter the schema; upgrades and the registry (`pages`) need its owner. Run it as
-- that owner, with CREATEROLE, or with the roles made beforehand. In another client than
-- `messenger-pipeline psql` run first: set search_path = messenger_pipeline, public;
-- Running it again changes nothing.
do $$
declare
    v_purpose text;
begin
    foreach v_purpose in array array['sync', 'receiver', 'reader'] loop
        if not exists (select from pg_roles where rolname = 'messenger_' || v_purpose) then
            execute format('create role %I nologin', 'messenger_' || v_purpose);
        end if;
        perform grant_role('messenger_' || v_purpose, v_purpose);
    end loop;
end
$$;

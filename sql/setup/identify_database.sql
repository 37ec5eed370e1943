-- Names the database in which recorded oids are true: a restore, a clone or an upgrade of the
-- server gives other ones.
create or replace function :own.identify_database()
returns text
language sql stable
set search_path from current
as $$
    select format('%s %s %s', d.oid, ':own.owned_objects'::regclass::oid,
                  current_setting('server_version_num')::integer / 10000)
    from pg_database d where d.datname = current_database()
$$;

-- The server, the database, and what this role may see of our record.
select current_setting('server_version_num')::integer,
       split_part(current_setting('server_version'), ' ', 1),
       current_database()::text, current_user::text,
       current_setting('server_encoding'),
       (select coalesce(d.datcollate, '') from pg_database d where d.datname = current_database()),
       (select concat_ws(' ', pg_postmaster_start_time(), d.oid) from pg_database d
        where d.datname = current_database()),
       to_regnamespace(quote_ident(%(data)s)) is not null,
       case when to_regnamespace(quote_ident(%(own)s)) is null then 'absent'
            when c.oid is null then 'no record'
            when has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                 and not row_security_active(c.oid) then 'readable'
            else 'hidden' end,
       v.oid is not null and has_schema_privilege(n.oid, 'usage')
           and has_table_privilege(v.oid, 'select') and not row_security_active(v.oid)
from (select 1) one
left join pg_namespace n on n.nspname = %(own)s
left join pg_class c on c.relnamespace = n.oid and c.relname = 'owned_objects'
left join pg_class v on v.relnamespace = n.oid and v.relname = 'messenger_schema_version'

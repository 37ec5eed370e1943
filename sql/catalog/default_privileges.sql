-- Default privileges: of the schemas, and those of the whole database (`_global`), which are not
-- compared but decide what a new object is open to.
select coalesce(n.nspname, ''), null::text,
       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                            when 'T' then 'types' else d.defaclobjtype::text end
       || ' of ' || r.role || ' to ' || r.grantee, null::oid, jsonb_build_object(
    'privileges', jsonb_agg(distinct lower(g.privilege_type)
                            || case when g.is_grantable then '*' else '' end),
    '_global', n.nspname is null,
    '_objects', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
                                     when 'f' then 'functions' when 'T' then 'types'
                                     else d.defaclobjtype::text end,
    '_role', r.role,
    '_grantee', r.grantee)
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
cross join aclexplode(d.defaclacl) g
cross join lateral (
    select quote_ident(pg_get_userbyid(d.defaclrole)) as role,
           case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end
           as grantee
) r
where n.nspname = any (%(schemas)s)
   or d.defaclnamespace = 0 and (g.grantee <> d.defaclrole or d.defaclobjtype = 'f')
group by n.nspname, d.defaclobjtype, r.role, r.grantee

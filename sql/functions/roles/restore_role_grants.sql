-- Run last by each upgrade: gives the roles on record what is new in this release. A role that was
-- dropped, or from which somebody took its privileges, is forgotten.
create or replace function :own.restore_role_grants()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_grant role_grants;
begin
    delete from role_grants g
    where not exists (
        select from pg_roles r
        cross join pg_class c
        cross join pg_namespace n
        where r.rolname = g.role_name and n.oid = ':own'::regnamespace
          and c.oid = ':data.messenger_conversations'::regclass
          and exists (
              select from aclexplode(case g.purpose when 'reader' then c.relacl else n.nspacl end) a
              where a.grantee = r.oid));
    for v_grant in select * from role_grants order by role_name, purpose loop
        perform grant_role(v_grant.role_name, v_grant.purpose);
    end loop;
end
$$;

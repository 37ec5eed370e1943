-- Lets a role name what is in the data schema. Everybody may by default, which an owner can change.
create or replace function :own.grant_usage(p_role text)
returns void
language plpgsql
set search_path from current
as $$
begin
    if not exists (
        select from pg_namespace n
        cross join lateral aclexplode(n.nspacl) a
        where n.oid = ':data'::regnamespace and a.privilege_type = 'USAGE'
          and a.grantee = quote_ident(p_role)::regrole)
    then
        perform grant_reversibly(format('grant usage on schema :data to %I', p_role),
                                 format('revoke usage on schema :data from %I', p_role));
    end if;
end
$$;

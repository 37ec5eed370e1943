-- In a restored or cloned database what has the names on record is ours. A restore without
-- privileges (pg_restore --no-acl) opens it to those to whom the server's defaults do: takes that
-- back where somebody has exactly what the defaults grant, and always on our own schema.
create or replace function :own.adopt_restored_objects()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_object record;
    v_grantee text;
begin
    update owned_objects o
    set object_oid = case o.kind when 'table' then to_regclass(format(':data.%I', o.name)) end
    where o.in_schema = 'data' and o.kind <> 'schema';
    for v_object in
        select o.kind, f.oid
        from owned_objects o
        cross join find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
        where o.in_schema = 'data' and o.kind <> 'schema'
          and (o.kind = 'table' or o.installed_digest = digest_object(o.kind, f.oid))
          and grants_are_default(o.kind, f.oid)
    loop
        perform withhold_object(v_object.kind, v_object.oid);
    end loop;
    for v_grantee in
        select distinct quote_ident(pg_get_userbyid(g.grantee))
        from pg_namespace n
        cross join aclexplode(n.nspacl) g
        join pg_default_acl d on d.defaclrole = n.nspowner and d.defaclobjtype = 'n'
        cross join aclexplode(d.defaclacl) s
        where n.oid = ':own'::regnamespace and g.grantee not in (0, n.nspowner)
          and (s.grantee, s.privilege_type) = (g.grantee, g.privilege_type)
    loop
        execute format('revoke all on schema :own from %s', v_grantee);
    end loop;
    update owned_objects set installed_digest = identify_database() where kind = 'schema';
end
$$;

-- What is left of ours in the internal schema is for its owner alone.
do $$
declare
    v_role text;
begin
    for v_role in
        select distinct g.role_name from :own.role_grants g join pg_roles r on r.rolname = g.role_name
    loop
        execute format('revoke all on :own.owned_objects from %I', v_role);
        execute format('revoke all on schema :own from %I', v_role);
    end loop;
end
$$;
drop table :own.role_grants;
delete from :own.owned_objects where in_schema = 'own' and kind = 'table' and name = 'role_grants';

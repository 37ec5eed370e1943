-- Drops our functions and views that are not among p_names, and overloads that were replaced: what
-- an earlier release made, and nobody changed since. What the owner altered is left, and stays on
-- record: an upgrade that defines it replaces it. Views first, which may be built on functions.
create or replace function :own.drop_undefined(p_names text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_object record;
begin
    for v_object in
        select o.kind, f.oid
        from owned_objects o
        cross join find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
        where o.kind in ('view', 'function')
          and case o.in_schema
              -- Everything in it is ours.
              when 'own' then o.name <> all (p_names)
                   or o.installed_digest <> digest_object(o.kind, f.oid)
              else o.name <> all (p_names) and o.installed_digest = digest_object(o.kind, f.oid)
                   or f.oid = o.replaced_oid end
        order by o.kind desc
    loop
        execute format('drop %s %s', v_object.kind, describe_object(v_object.kind, v_object.oid));
    end loop;
    delete from owned_objects o
    where o.kind in ('view', 'function') and o.name <> all (p_names)
      and not exists (select from find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
                      where f.oid = o.object_oid);
    update owned_objects set definition_digest = null
    where kind in ('view', 'function') and name <> all (p_names);
    update owned_objects set replaced_oid = null where replaced_oid is not null;
end
$$;

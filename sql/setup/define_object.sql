-- Creates or replaces a function or view of ours; does nothing where it is as it was last made, so
-- that an upgrade with nothing to do takes no lock. A replaced one keeps its oid where PostgreSQL
-- can replace it, and its grants always; in the data schema a new one is open to nobody.
--
-- MPX01 where the name in the data schema is somebody else's.
create or replace function :own.define_object(
    p_in_schema text, p_kind text, p_name text, p_definition text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_schema regnamespace := find_schema(p_in_schema);
    v_before oid[] := array(select find_objects(p_kind, v_schema, p_name));
    v_after oid;
    v_recorded owned_objects;
    v_ours oid;
    v_additions jsonb;
    v_replaced oid;
begin
    select * into v_recorded from owned_objects
        where in_schema = p_in_schema and kind = p_kind and name = p_name;
    -- Beside it the owner may have made overloads.
    v_ours := find_owned(v_recorded, v_before);
    if p_in_schema = 'data' and v_before <> '{}' and v_ours is null
        and (v_recorded.kind is null or v_recorded.object_oid is not null)
    then
        raise exception 'the % % is there already, and is not messenger-pipeline''s',
            p_kind, describe_object(p_kind, v_before[1])
            using errcode = 'MPX01',
                  detail = 'Rename or drop it, or choose another MESSENGER_DATABASE_SCHEMA.';
    end if;
    if v_recorded.definition_digest = md5(p_definition)
        and v_recorded.installed_digest = digest_object(p_kind, v_ours)
    then
        perform close_to_public(p_kind, v_ours);
        update owned_objects set object_oid = v_ours
        where in_schema = p_in_schema and kind = p_kind and name = p_name
          and object_oid is distinct from v_ours;
        return;
    end if;
    v_additions := list_additions(p_kind, v_ours);
    begin
        execute p_definition;
    -- Another return type; a view's columns in another order.
    exception when invalid_function_definition or invalid_table_definition then
        perform replace_object(p_kind, v_ours, p_definition);
    end;
    -- With other arguments a function stands beside the one that it replaces, until
    -- drop_undefined.
    select coalesce(max(o) filter (where o <> all (v_before)), v_ours, max(o)) into v_after
    from find_objects(p_kind, v_schema, p_name) o;
    if v_before = '{}' and p_in_schema = 'data' then
        perform withhold_object(p_kind, v_after);
    elsif v_after <> all (v_before) then
        -- None, if replace_object dropped it.
        v_replaced := (select p.oid from pg_proc p where p.oid = v_ours);
        if v_replaced is not null
            and (p_in_schema = 'data' or not grants_are_default(p_kind, v_replaced))
        then
            perform restore_grants(p_kind, v_after, list_grants(p_kind, v_replaced));
        end if;
    end if;
    perform restore_additions(p_kind, v_after, v_additions);
    perform close_to_public(p_kind, v_after);
    insert into owned_objects
        (in_schema, kind, name, definition_digest, installed_digest, replaced_oid, object_oid)
    values (p_in_schema, p_kind, p_name, md5(p_definition), digest_object(p_kind, v_after), null,
            v_after)
    on conflict (in_schema, kind, name) do update
        set definition_digest = excluded.definition_digest,
            installed_digest = excluded.installed_digest,
            object_oid = excluded.object_oid,
            replaced_oid = v_replaced;
end
$$;

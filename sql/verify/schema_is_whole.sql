-- Raises MPC01 unless the objects of the schema are complete and unchanged: tables, functions,
-- views, indexes, constraints, row level security, and the privileges of our own schema.
do $$
declare
    v_missing text;
begin
    v_missing := find_missing_objects();
    if v_missing is not null then
        raise exception 'objects are missing or exist twice: %', v_missing using errcode = 'MPC01';
    end if;

    select string_agg(m.name, ', ' order by m.name) into v_missing from find_missing_indexes() m;
    if v_missing is not null then
        raise exception 'indexes or constraints are missing or invalid: %. `messenger-pipeline db upgrade` creates them again',
            v_missing using errcode = 'MPC01';
    end if;

    select string_agg(o.name, ', ' order by o.name) into v_missing
    from owned_objects o
    join pg_class c on c.relname = o.name and c.relnamespace = ':data'::regnamespace
    where o.in_schema = 'data' and o.kind = 'table' and not c.relrowsecurity
      -- Adopted tables keep what they had.
      and not (exists (select from adoption_steps s)
               and o.name in ('facebook_pages', 'messenger_conversations',
                              'contact_interaction_events'));
    if v_missing is not null then
        raise exception 'tables without row level security: %', v_missing using errcode = 'MPC01';
    end if;

    -- A restore without privileges opens new functions to everybody.
    select string_agg(p.oid::regprocedure::text, ', ' order by p.proname) into v_missing
    from owned_objects o
    join pg_proc p on p.proname = o.name and p.pronamespace = find_schema(o.in_schema)
    cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
    where (o.in_schema = 'data' or p.prosecdef) and o.kind = 'function' and g.grantee = 0;
    if v_missing is not null then
        raise exception 'functions that everybody may execute: %', v_missing using errcode = 'MPC01';
    end if;

    if exists (
        select from pg_namespace n cross join aclexplode(n.nspacl) g
        where n.oid = ':own'::regnamespace and g.grantee = 0)
    then
        raise exception 'the schema :own grants privileges to every role (PUBLIC)'
            using errcode = 'MPC01';
    end if;
end
$$;

-- Warnings about trigger functions of the owner's on our tables that use, without a schema, a name
-- that our own schema has too. Our functions fire them with our search_path, in which ours is first.
create or replace function :own.list_ambiguous_triggers()
returns setof text
language sql stable
set search_path from current
as $$
    select format(
        'The function %1$s of a trigger on %2$s uses the name %3$s without a schema. When a sync or'
        ' a webhook fires the trigger, that is the one in the schema :own. To keep it yours, run:'
        ' alter function %1$s set search_path = :data',
        describe_object('function', p.oid), max(t.tgrelid::regclass::text),
        string_agg(distinct c.relname, ', '))
    from owned_objects o
    cross join find_objects(o.kind, find_schema(o.in_schema), o.name) as f (oid)
    join pg_trigger t on t.tgrelid = f.oid and not t.tgisinternal
    join pg_proc p on p.oid = t.tgfoid and p.pronamespace <> ':own'::regnamespace
    join pg_class c on c.relnamespace = ':own'::regnamespace and c.relkind in ('r', 'v', 'S')
    where o.in_schema = 'data' and o.kind = 'table'
      and not exists (select from unnest(p.proconfig) as s where s like 'search_path=%')
      and p.prosrc ~* ('(^|[^.\w])"?' || c.relname || '"?(\W|$)')
    group by p.oid
$$;

-- Returns the objects of ours that are missing or exist twice, as text; NULL if there are none.
create or replace function :own.find_missing_objects()
returns text
language sql stable
set search_path from current
as $$
    select string_agg(format('%s %s', o.kind, o.name), ', ' order by o.kind, o.name)
    from owned_objects o
    where o.kind <> 'schema'
      -- What the owner altered, and a release no longer defines.
      and not (o.kind in ('view', 'function') and o.definition_digest is null)
      and 1 <> (select count(*) from find_objects(o.kind, find_schema(o.in_schema), o.name))
$$;

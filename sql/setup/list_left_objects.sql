-- The functions and views that drop_undefined left, because somebody altered them.
create or replace function :own.list_left_objects()
returns setof text
language sql stable
set search_path from current
as $$
    select format('%s %s', kind, describe_object(kind, object_oid)) from owned_objects
    where kind in ('view', 'function') and definition_digest is null
    order by in_schema, kind, name
$$;

-- Of an event's metadata what its message says, without what identifies or explains it.
create or replace function :own.content_of(p_metadata jsonb)
returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    select coalesce(jsonb_object_agg(key, value), '{}')
    from jsonb_each(p_metadata) where key = any (content_keys())
$$;

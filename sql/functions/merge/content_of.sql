-- Returns the content of a message (see content_keys), without its other metadata.
create or replace function :own.content_of(p_metadata jsonb)
returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    select coalesce(jsonb_object_agg(key, value), '{}')
    from jsonb_each(p_metadata) where key = any (content_keys())
$$;

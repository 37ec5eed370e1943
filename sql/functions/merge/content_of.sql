-- Returns the content of a message that a later statement replaces: all but its attachments, which
-- are joined.
create or replace function :own.content_of(p_metadata jsonb)
returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    select coalesce(jsonb_object_agg(key, value), '{}')
    from jsonb_each(p_metadata)
    where key = any (content_keys()) and key not in ('attachments', 'webhook_attachments')
$$;

-- Returns the attachments of a message's metadata as rows, those in webhook_attachments included.
-- `at` is their place.
create or replace function :own.list_attachments(p_metadata jsonb)
returns table (attachment jsonb, at bigint)
language sql immutable parallel safe
set search_path from current
as $$
    select a.value, a.at
    from (values (1, p_metadata -> 'attachments'), (2, p_metadata -> 'webhook_attachments'))
        as l (turn, list)
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(l.list) = 'array' then l.list
             when l.list is null then '[]' else jsonb_build_array(l.list) end)
        with ordinality as a (value, at)
    where jsonb_typeof(a.value) <> 'null'
    order by l.turn, a.at
$$;

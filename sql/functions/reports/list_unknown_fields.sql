-- Returns the fields that Meta sent and we did not request, most frequent first. It counts each
-- page's last session within p_span that met any. all_fields is the number of all such fields.
create or replace function :own.list_unknown_fields(p_span interval, p_limit integer default 50)
returns table (field text, seen bigint, pages bigint, example text, all_fields bigint)
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- a lookup per page, not all sessions
set jit = off  -- a plan without what is off looks too expensive not to be compiled
as $$
    with last as (
        select s.page_id, s.unknown_fields
        from facebook_pages p
        cross join lateral (
            select o.page_id, o.unknown_fields from sync_state o
            where o.page_id = p.facebook_page_id and o.unknown_fields <> '{}'
              and o.started_at > now() - p_span
            order by o.started_at desc limit 1
        ) s
        where p.status <> 'removed'
    )
    select f.key, sum(f.value::bigint)::bigint, count(*), min(last.page_id), count(*) over ()
    from last
    cross join lateral jsonb_each_text(last.unknown_fields) f
    group by f.key
    order by 2 desc, f.key
    limit p_limit
$$;

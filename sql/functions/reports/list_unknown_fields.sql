-- Returns the fields that Meta sent and we did not request, most frequent first. It counts each
-- page's last session within p_span that met any. all_fields is the number of all such fields.
create or replace function :own.list_unknown_fields(p_span interval, p_limit integer default 50)
returns table (field text, seen bigint, pages bigint, example text, all_fields bigint)
language sql stable security definer
set search_path from current
as $$
    with last as (
        select distinct on (s.page_id) s.page_id, s.unknown_fields
        from sync_state s
        join facebook_pages p on p.facebook_page_id = s.page_id and p.status <> 'removed'
        where s.unknown_fields <> '{}' and s.started_at > now() - p_span
        order by s.page_id, s.started_at desc
    )
    select f.key, sum(f.value::bigint)::bigint, count(*), min(last.page_id), count(*) over ()
    from last
    cross join lateral jsonb_each_text(last.unknown_fields) f
    group by f.key
    order by 2 desc, f.key
    limit p_limit
$$;

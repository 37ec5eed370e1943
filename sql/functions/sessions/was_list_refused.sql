-- Returns whether Meta refused the list of the page in the session that ended last.
create or replace function :own.was_list_refused(p_page_id text)
returns boolean
language sql stable security definer
set search_path from current
as $$
    select coalesce((
        select s.list_refused
        from (values ('full'), ('incremental')) as m (mode)
        cross join lateral (
            select o.list_refused, o.ended_at from sync_state o
            where o.page_id = p_page_id and o.mode = m.mode
              and o.outcome in ('completed', 'truncated')
            order by o.ended_at desc limit 1  -- reads one row of an index for each mode
        ) s
        order by s.ended_at desc limit 1), false)
$$;

-- Returns the gaps of all pages, or of p_page_id: of threads' history (kind thread) and of lists of
-- threads (kind list). Without p_all only those that failed: put off, or unreadable. The oldest
-- failure comes first.
create or replace function :own.list_set_aside_gaps(
    p_page_id text default null, p_all boolean default false
) returns table (
    id text, page_id text, kind text, thread_id text, newest_time timestamptz,
    until_time timestamptz, state text, attempts integer, not_before timestamptz,
    last_error text, opened_at timestamptz
)
language sql stable
set search_path from current
as $$
    select * from (
        select g.id::text as id, g.page_id, 'thread' as kind, g.thread_id, g.newest_time, g.until_time,
               case when g.unreadable then 'unreadable' when g.last_error is not null then 'put_off'
                    else 'open' end as state,
               g.attempts, case when not g.unreadable or g.attempts < 3 then g.not_before end,
               coalesce(g.last_error, g.reason), g.opened_at as opened_at
        from thread_gaps g
        where p_page_id is null or g.page_id = p_page_id
        union all
        select 'list-' || g.id, g.page_id, 'list', null, g.newest_time, g.until_time,
               case when g.unreadable then 'unreadable' else 'put_off' end,
               g.attempts, case when not g.unreadable then g.not_before end,
               g.last_error, g.opened_at
        from list_gaps g
        where p_page_id is null or g.page_id = p_page_id
    ) gaps
    where p_all or state <> 'open'
    order by kind, opened_at, id
$$;

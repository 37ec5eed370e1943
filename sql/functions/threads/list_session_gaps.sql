-- Returns the gaps that a session has still to fetch, newest first. Gaps that Meta refuses are left
-- out.
create or replace function :own.list_session_gaps(p_session uuid, p_limit integer)
returns table (
    id bigint, thread_id text, sender_id text, resume_cursor text, newest_time timestamptz,
    until_time timestamptz, dead_cursor_time timestamptz
)
language sql stable
set search_path from current
as $$
    select g.id, g.thread_id, t.sender_id, g.resume_cursor, g.newest_time, g.until_time,
           g.dead_cursor_time
    from thread_gaps g
    join messenger_threads t on t.page_id = g.page_id and t.thread_id = g.thread_id
    where g.sync_session_id = p_session and not g.unreadable
    order by g.newest_time desc, g.id
    limit p_limit
$$;

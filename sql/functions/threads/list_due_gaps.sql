-- Returns the gaps in threads' history that a run should read now, newest first: those that p_session
-- opened and that have not failed (p_own: the session is complete without them), or the page's
-- others. One that Meta refused is due a few times more, because one answer proves nothing permanent.
create or replace function :own.list_due_gaps(
    p_page_id text, p_session uuid, p_own boolean, p_limit integer
) returns table (
    id bigint, thread_id text, sender_id text, resume_cursor text, newest_time timestamptz,
    until_time timestamptz, dead_cursor_time timestamptz, attempts integer, last_error text
)
language sql stable security definer
set search_path from current
as $$
    select g.id, g.thread_id, t.sender_id, g.resume_cursor, g.newest_time, g.until_time,
           g.dead_cursor_time, g.attempts, g.last_error
    from thread_gaps g
    join messenger_threads t on t.page_id = g.page_id and t.thread_id = g.thread_id
    where g.page_id = p_page_id and g.not_before <= now()
      and (not g.unreadable or g.attempts < 3)
      and (g.sync_session_id is not distinct from p_session and g.last_error is null) = p_own
      and t.sender_id is not null
    order by g.newest_time desc, g.id
    limit p_limit
$$;

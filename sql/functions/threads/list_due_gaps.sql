-- Returns the gaps in threads' history that a run should read now: those that p_session opened and
-- that have not failed, newest first (p_own: the session is complete without them); or the page's
-- others, longest due first. One that Meta refused is due a few times more, because one answer proves
-- nothing permanent.
--
-- Each of the two reads an index in its order, and no more than it returns.
create or replace function :own.list_due_gaps(
    p_page_id text, p_session uuid, p_own boolean, p_limit integer
) returns table (
    id bigint, thread_id text, sender_id text, resume_cursor text, newest_time timestamptz,
    until_time timestamptz, dead_cursor_time timestamptz, attempts integer, last_error text
)
language plpgsql stable security definer
set search_path from current
-- An average session or page has many gaps, so that reading all may look cheaper than an index.
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
begin
    if p_own then
        return query
        select g.id, g.thread_id, t.sender_id, g.resume_cursor, g.newest_time, g.until_time,
               g.dead_cursor_time, g.attempts, g.last_error
        from thread_gaps g
        cross join lateral (
            select m.sender_id from messenger_threads m
            where m.page_id = g.page_id and m.thread_id = g.thread_id
              and m.sender_id is not null
            limit 1) t
        where g.sync_session_id = p_session and g.page_id = p_page_id
          and g.last_error is null and (not g.unreadable or g.attempts < 3)
          and g.not_before <= now()
        order by g.newest_time desc, g.id
        limit p_limit;
    else
        return query
        select g.id, g.thread_id, t.sender_id, g.resume_cursor, g.newest_time, g.until_time,
               g.dead_cursor_time, g.attempts, g.last_error
        from thread_gaps g
        cross join lateral (
            select m.sender_id from messenger_threads m
            where m.page_id = g.page_id and m.thread_id = g.thread_id
              and m.sender_id is not null
            limit 1) t
        where g.page_id = p_page_id and (not g.unreadable or g.attempts < 3)
          and g.not_before <= now()
          and (g.sync_session_id is distinct from p_session or g.last_error is not null)
        order by g.not_before, g.id
        limit p_limit;
    end if;
end
$$;

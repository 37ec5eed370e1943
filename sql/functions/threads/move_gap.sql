-- Records the progress of a gap.
--
-- p_moved: {id, resume_cursor, newest_time} after a response; {id, closed: true} after the last
--   one; {id, cursor_died: true} to restart from the top of the thread; {id, failed: error} to put
--   it off; {id, unreadable: reason} if Meta refuses to return the rest.
--
-- A gap that failed 8 times over at least 7 days becomes unreadable. One that Meta refused is tried
-- again after a day and after a week: see list_due_gaps.
create or replace function :own.move_gap(p_moved jsonb)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_id bigint := (p_moved ->> 'id')::bigint;
begin
    if (p_moved ->> 'closed')::boolean then
        delete from thread_gaps where id = v_id;
    elsif p_moved ? 'failed' then
        update thread_gaps g
        set first_failed_at = coalesce(g.first_failed_at, now()),
            last_error = left(p_moved ->> 'failed', 500),
            not_before = now() + gap_pause(g.attempts),
            unreadable = g.unreadable
                or (g.attempts >= 8 and g.first_failed_at <= now() - interval '7 days'),
            reason = coalesce(g.reason, left(p_moved ->> 'failed', 500))
        where g.id = v_id;
    elsif p_moved ? 'unreadable' then
        update thread_gaps g
        set first_failed_at = coalesce(g.first_failed_at, now()),
            last_error = left(p_moved ->> 'unreadable', 500),
            not_before = now() + case when g.attempts <= 1 then interval '1 day'
                                      else interval '7 days' end,
            unreadable = true, reason = left(p_moved ->> 'unreadable', 500),
            resume_cursor = null
        where g.id = v_id;
    elsif (p_moved ->> 'cursor_died')::boolean then
        update thread_gaps g
        set dead_cursor_time = g.newest_time, resume_cursor = null
        where g.id = v_id;
    else
        -- A restart from the top passes through what is stored: that is no progress yet.
        update thread_gaps g
        set attempts = 1, first_failed_at = null, last_error = null, unreadable = false,
            reason = null, not_before = now(),
            newest_time = (p_moved ->> 'newest_time')::timestamptz
        where g.id = v_id and (p_moved ->> 'newest_time')::timestamptz < g.newest_time;
        update thread_gaps g
        set resume_cursor = p_moved ->> 'resume_cursor'
        where g.id = v_id;
    end if;
end
$$;

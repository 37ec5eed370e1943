-- Records the progress of a gap.
--
-- p_moved: {id, resume_cursor, newest_time} after a response; {id, closed: true} after the last
--   one; {id, cursor_died: true} to restart from the top of the thread; {id, unreadable: true,
--   reason} if Meta refuses to return the rest.
create or replace function :own.move_gap(p_moved jsonb)
returns void
language plpgsql
set search_path from current
as $$
begin
    if (p_moved ->> 'closed')::boolean then
        delete from thread_gaps where id = (p_moved ->> 'id')::bigint;
        return;
    end if;
    update thread_gaps g
    set attempts = g.attempts + 1,
        unreadable = coalesce((p_moved ->> 'unreadable')::boolean, false),
        reason = left(p_moved ->> 'reason', 500),
        dead_cursor_time = case when (p_moved ->> 'cursor_died')::boolean
            then g.newest_time else g.dead_cursor_time end,
        resume_cursor = p_moved ->> 'resume_cursor',
        -- A restart from the top passes through what is stored: keep the deepest time.
        newest_time = least(g.newest_time, (p_moved ->> 'newest_time')::timestamptz)
    where g.id = (p_moved ->> 'id')::bigint;
end
$$;

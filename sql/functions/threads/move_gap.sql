-- Moves the stretch of history that a gap still stands for: {id, resume_cursor, newest_time} after
-- an answer, {id, closed: true} after the last, {id, cursor_died: true} to begin again from the
-- thread's top, {id, unreadable: true, reason} where Meta will not let it be read.
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
        -- From the top again it comes through what is stored.
        newest_time = least(g.newest_time, (p_moved ->> 'newest_time')::timestamptz)
    where g.id = (p_moved ->> 'id')::bigint;
end
$$;

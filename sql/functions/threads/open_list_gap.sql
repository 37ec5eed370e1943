-- Records a part of a page's list of threads that could not be read: those updated at or before
-- p_newest (NULL: from the top), until one updated before p_until (NULL: to the end). A page has one
-- such row: a further part extends it, and
-- counts as opened now: no session that started before has read it. It is due with the next session.
create or replace function :own.open_list_gap(
    p_page_id text, p_session uuid, p_newest timestamptz, p_until timestamptz, p_error text
) returns void
language sql
set search_path from current
as $$
    insert into list_gaps as g
        (page_id, sync_session_id, newest_time, until_time, attempts, first_failed_at, last_error)
    values (p_page_id, p_session, p_newest, p_until, 1, now(), left(p_error, 500))
    on conflict (page_id) do update
        set sync_session_id = excluded.sync_session_id,
            -- NULL is the greater stretch on both sides.
            newest_time = case when g.newest_time is not null and excluded.newest_time is not null
                then greatest(g.newest_time, excluded.newest_time) end,
            until_time = case when g.until_time is not null and excluded.until_time is not null
                then least(g.until_time, excluded.until_time) end,
            resume_cursor = null, cursor_fingerprint = null,
            unreadable = false, opened_at = now(),
            -- The further part has been tried once.
            attempts = case when g.unreadable then 1 else g.attempts end, first_failed_at = now(),
            last_error = excluded.last_error
$$;

-- Returns the part of a page's list that a run should read now; no row if there is none.
-- The session that opened it has just tried.
create or replace function :own.list_due_list_gap(p_page_id text, p_session uuid)
returns table (
    id bigint, newest_time timestamptz, until_time timestamptz, resume_cursor text,
    cursor_fingerprint text, attempts integer
)
language sql stable security definer
set search_path from current
as $$
    select id, newest_time, until_time, resume_cursor, cursor_fingerprint, attempts
    from list_gaps
    where page_id = p_page_id and not unreadable and not_before <= now()
      and sync_session_id is distinct from p_session
$$;

-- Returns the p_limit sessions of a page (by Facebook's id) that started last, newest first.
create or replace function :own.list_last_sessions(p_page_id text, p_limit integer)
returns table (sync_session_id uuid)
language sql stable security definer
set search_path from current
as $$
    select s.sync_session_id from sync_state s
    where s.page_id = p_page_id
    order by s.started_at desc, s.sync_session_id
    limit p_limit
$$;

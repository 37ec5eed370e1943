create or replace function get_sync_session(p_session uuid)
returns setof sync_state
language sql stable
set search_path from current
as $$
    select * from sync_state where sync_session_id = p_session
$$;

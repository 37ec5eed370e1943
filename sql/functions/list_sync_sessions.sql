-- The sessions that moved since a time, of one page or of all, oldest first.
create or replace function list_sync_sessions(p_since timestamptz, p_page_id text default null)
returns setof sync_state
language sql stable
set search_path from current
as $$
    select * from sync_state
    where updated_at >= p_since and (p_page_id is null or page_id = p_page_id)
    order by started_at
$$;

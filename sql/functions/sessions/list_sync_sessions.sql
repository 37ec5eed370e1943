-- Returns the sessions that changed since p_since, of one page or of all, oldest start first.
create or replace function :own.list_sync_sessions(p_since timestamptz, p_page_id text default null)
returns table (sync_session_id uuid)
language sql stable security definer
set search_path from current
as $$
    -- One that has ended changes no more: two indexes find them.
    select s.sync_session_id
    from (
        select * from sync_state where outcome is null
        union all
        select * from sync_state
        where outcome is not null
          and ended_at at time zone 'UTC' >= p_since at time zone 'UTC'
    ) s
    where s.updated_at >= p_since and (p_page_id is null or s.page_id = p_page_id)
    order by s.started_at
$$;

-- Deletes up to p_limit sync sessions that ended more than p_keep ago. Returns their number. Keeps
-- the latest session of each page and mode.
create or replace function :own.delete_ended_sessions(
    p_keep interval, p_limit integer default 10000
) returns integer
language plpgsql security definer
set search_path from current
as $$
declare
    v_deleted integer;
begin
    delete from sync_state
    where sync_session_id = any (array(  -- not a join, which may read all sessions
        select s.sync_session_id from sync_state s
        where s.outcome is not null
          and s.ended_at at time zone 'UTC' < (now() - p_keep) at time zone 'UTC'
          and exists (
              select from sync_state later
              where later.page_id = s.page_id and later.mode = s.mode
                and (later.started_at, later.sync_session_id) > (s.started_at, s.sync_session_id))
        order by s.ended_at at time zone 'UTC'  -- of an index: the oldest first, and no others
        limit p_limit for update of s skip locked));
    get diagnostics v_deleted = row_count;
    return v_deleted;
end
$$;

-- Returns a session as the runs need it.
--
-- follows_adoption: no full session of ours has completed since its page was adopted.
create or replace function :own.get_sync_session(p_session uuid)
returns table (
    sync_session_id uuid, page_id text, mode text, restores boolean, run_id text, step integer, last_cursor text,
    cursor_fingerprint text, last_updated_time timestamptz, cutoff timestamptz,
    next_watermark timestamptz, listed_at timestamptz, list_restarts integer,
    list_refused boolean, truncated text, warning text, unknown_fields jsonb,
    total_synced integer, inserted integer, updated integer, unchanged integer, deleted integer,
    events_created integer, quarantined integer, api_calls integer, outcome text,
    is_complete boolean, last_error text, started_at timestamptz, updated_at timestamptz,
    ended_at timestamptz, follows_adoption boolean
)
language sql stable security definer
set search_path from current
as $$
    select s.sync_session_id, s.page_id, s.mode, s.restores, s.run_id, s.step, s.last_cursor,
           s.cursor_fingerprint, s.last_updated_time, s.cutoff, s.next_watermark, s.listed_at,
           s.list_restarts, s.list_refused, s.truncated, s.warning, s.unknown_fields,
           s.total_synced, s.inserted, s.updated, s.unchanged, s.deleted, s.events_created,
           s.quarantined, s.api_calls, s.outcome, s.is_complete, s.last_error, s.started_at,
           s.updated_at, s.ended_at,
           exists (select from adopted_pages a
                   where a.page_id = s.page_id and a.synced_at is null)
    from sync_state s where s.sync_session_id = p_session
$$;

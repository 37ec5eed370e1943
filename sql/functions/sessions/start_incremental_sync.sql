-- Starts an incremental session of a page, for what Meta updated since p_since, with an overlap.
-- Returns its id.
create or replace function :own.start_incremental_sync(p_page_id text, p_since timestamptz)
returns uuid
language sql
set search_path from current
as $$
    insert into sync_state (page_id, user_id, mode, cutoff, page_last_synced_at)
    select p_page_id, p.user_id, 'incremental', p_since - interval '10 minutes', p.last_synced_at
    from (values (p_page_id)) as requested (page_id)
    left join facebook_pages p on p.facebook_page_id = requested.page_id
    returning sync_session_id
$$;

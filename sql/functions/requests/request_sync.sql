-- Asks for a sync of a page, by Facebook's id, and returns the session that it will be.
--
-- p_mode: see choose_sync_session. p_session: go on with this one, whatever the mode.
-- p_max_conversations: its first run ends after so many threads; NULL: at no number.
-- outcome: 'accepted'; 'in_progress': a run walks the page (locked_by, locked_at), or somebody has
--   asked before: sync_session_id is what is under way; 'unknown_session' of this page;
--   'session_ended'.
-- A request that is repeated because its acknowledgement was lost is accepted as the first time.
create or replace function :own.request_sync(
    p_request_id uuid, p_page_id text, p_mode text, p_session uuid, p_max_conversations integer,
    p_requested_by text
) returns table (
    outcome text, sync_session_id uuid, locked_by text, locked_at timestamptz
)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_lease sync_locks;
    v_session uuid;
    v_request uuid;
    v_outcome text;
begin
    -- Who asks for the same page at the same time comes after us, and so does a run that begins.
    perform from facebook_pages where facebook_page_id = p_page_id for no key update;
    select r.sync_session_id, r.request_id into v_session, v_request from sync_requests r
        where r.page_id = p_page_id and r.ended_at is null;
    if found then
        return query
        select case when v_request = p_request_id then 'accepted' else 'in_progress' end,
               v_session, null::text, null::timestamptz;
        return;
    end if;
    select * into v_lease from sync_locks l
        where l.page_id = p_page_id and l.expires_at > clock_timestamp();
    if found then
        return query
        select 'in_progress',
               (select s.sync_session_id from sync_state s
                where s.page_id = p_page_id and s.outcome is null
                  and s.run_id = v_lease.locked_by),
               v_lease.locked_by, v_lease.locked_at;
        return;
    end if;
    if p_session is not null then
        select s.outcome into v_outcome from sync_state s
            where s.sync_session_id = p_session and s.page_id = p_page_id;
        if not found or v_outcome is not null then
            return query
            select case when found then 'session_ended' else 'unknown_session' end,
                   p_session, null::text, null::timestamptz;
            return;
        end if;
    end if;
    v_session := coalesce(p_session, choose_sync_session(p_page_id, p_mode, null));
    insert into sync_requests
        (request_id, page_id, sync_session_id, max_conversations, requested_by)
    values (p_request_id, p_page_id, v_session, p_max_conversations, p_requested_by);
    update sync_state s set changes = s.changes + 1 where s.sync_session_id = v_session;
    perform announce_sync(p_page_id, v_session);
    return query select 'accepted', v_session, null::text, null::timestamptz;
end
$$;

-- Requests a sync of a page, by Facebook's id. Returns the session that a run will walk.
--
-- p_request_id: makes a retry safe: a repeated request is accepted as it was the first time.
-- p_mode: see choose_sync_session.
-- p_session: resume this session, whatever the mode.
-- p_max_conversations: the number of threads after which the first run ends; NULL: no limit.
-- outcome: 'accepted'; 'in_progress': a run is walking the page (locked_by, locked_at), or a
--   request is pending already: sync_session_id is that session; 'unknown_session': p_session is no
--   session of this page; 'session_ended'.
create or replace function :own.request_sync(
    p_request_id uuid, p_page_id text, p_mode text, p_session uuid, p_max_conversations integer,
    p_requested_by text
) returns table (
    outcome text, sync_session_id uuid, locked_by text, locked_at timestamptz
)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    v_lease sync_locks;
    v_session uuid;
    v_request uuid;
    v_outcome text;
begin
    perform commit_durably();
    -- Serializes concurrent requests for the page, and a run that is starting.
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

-- Ends a session whose list is read, as far as Meta lets it be, and whose gaps are closed, and moves
-- the page's watermark. False, and nothing done, while either is not so. MPL01 if the lease is lost.
create or replace function :own.complete_sync_session(p_session uuid, p_fence bigint)
returns boolean
language plpgsql
set search_path from current
as $$
declare
    v_session sync_state;
    v_full uuid;
begin
    -- The page before its session, like everybody who locks both.
    perform from facebook_pages p
    where p.facebook_page_id = (
        select s.page_id from sync_state s where s.sync_session_id = p_session)
    for no key update;
    update sync_state s
    set outcome = case when s.truncated is null then 'completed' else 'truncated' end, ended_at = now(), updated_at = now(),
        last_error = null, waiting_until = null, waiting_for = null, changes = changes + 1
    where s.sync_session_id = p_session and s.outcome is null and s.listed_at is not null
      and not exists (
          select from thread_gaps g where g.sync_session_id = p_session and not g.unreadable)
    returning s.* into v_session;
    if not found then
        return false;
    end if;
    perform check_fence(v_session.page_id, p_fence);
    perform announce_sync(v_session.page_id, p_session);
    perform add_to_sync_totals(v_session.page_id, jsonb_build_object(
        'sessions', jsonb_build_object(v_session.mode || ' ' || v_session.outcome, 1)));

    if v_session.mode = 'incremental' then
        -- Between the runs of a full walk only that walk can vouch for what is older: what this
        -- one covered counts when it completes.
        update sync_state s
        set next_watermark = greatest(s.next_watermark, v_session.next_watermark)
        where s.page_id = v_session.page_id and s.mode = 'full' and s.outcome is null
        returning s.sync_session_id into v_full;
    end if;
    update facebook_pages p
    set watermark = case when v_full is null
            then greatest(p.watermark, v_session.next_watermark) else p.watermark end,
        -- NULL asks for a full sync, or none was completed yet: only a full one that began since
        -- answers that. What came after a session began, it need not have seen.
        last_synced_at = case
            when v_full is not null then p.last_synced_at
            when p.last_synced_at is null
             and (v_session.mode <> 'full' or v_session.page_last_synced_at is not null)
            then null
            else greatest(p.last_synced_at, v_session.started_at) end,
        next_sync_at = greatest(now(), v_session.started_at + p.sync_interval),
        updated_at = now()
    where p.facebook_page_id = v_session.page_id;
    return true;
end
$$;

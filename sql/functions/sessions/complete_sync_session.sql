-- Completes a session and moves the page's watermark. The session's list must be read, as far as
-- Meta allows, and the gaps that it opened closed, put off or unreadable; otherwise returns false
-- and changes nothing. MPL01 if the lease is lost.
create or replace function :own.complete_sync_session(p_session uuid, p_fence bigint)
returns boolean
language plpgsql security definer
set search_path from current
as $$
declare
    v_session sync_state;
    v_full uuid;
begin
    perform commit_durably();
    -- Every function that locks both locks the page before its session.
    perform from facebook_pages p
    where p.facebook_page_id = (
        select s.page_id from sync_state s where s.sync_session_id = p_session)
    for no key update;
    update sync_state s
    set outcome = case when s.truncated is null then 'completed' else 'truncated' end,
        ended_at = now(), updated_at = now(),
        last_error = null, waiting_until = null, waiting_for = null, changes = changes + 1
    where s.sync_session_id = p_session and s.outcome is null and s.listed_at is not null
      and (
          select true from thread_gaps g
          where g.sync_session_id = p_session and not g.unreadable and g.last_error is null
          -- In the order of thread_gaps_own: the planner expects many, and would read others'.
          order by g.newest_time desc, g.id limit 1) is null
    returning s.* into v_session;
    if not found then
        return false;
    end if;
    perform check_fence(v_session.page_id, p_fence);
    perform announce_sync(v_session.page_id, p_session);
    perform add_to_sync_totals(v_session.page_id, jsonb_build_object(
        'sessions', jsonb_build_object(v_session.mode || ' ' || v_session.outcome, 1)));

    -- A walk that reached below the unread part of the list has read that part, too.
    delete from list_gaps g
    where g.page_id = v_session.page_id and v_session.truncated is null
      and g.opened_at < v_session.started_at
      and (v_session.cutoff is null or v_session.cutoff <= g.until_time);

    if v_session.mode = 'full' and v_session.truncated is null then
        delete from accepted_deletions where page_id = v_session.page_id;
    end if;
    if v_session.mode = 'incremental' then
        -- While a full walk is open only that walk knows that older history is complete. It takes
        -- over the watermark of this session, which counts once the full walk completes.
        update sync_state s
        set next_watermark = greatest(s.next_watermark, v_session.next_watermark)
        where s.page_id = v_session.page_id and s.mode = 'full' and s.outcome is null
        returning s.sync_session_id into v_full;
    end if;
    if v_session.mode = 'full' then
        update adopted_pages a set synced_at = now()
        where a.page_id = v_session.page_id and a.synced_at is null;
    end if;
    update facebook_pages p
    set watermark = case when v_full is null
            then greatest(p.watermark, v_session.next_watermark) else p.watermark end,
        -- NULL requests a full sync (or none has completed yet): only a full session that started
        -- after the reset fulfils that. A session may miss changes after its start, so the page is
        -- synced as of started_at.
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

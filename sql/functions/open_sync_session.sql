-- The session that the holder of the page's lease is to walk: an open one resumed, or a new one.
--
-- p_mode: 'full' starts a full walk and supersedes an open one; 'incremental' walks what is new,
--   also between the runs of an open full walk, bounded by that walk's next watermark; 'auto'
--   resumes what is open, else decides by last_synced_at (NULL: full).
-- p_session: resume this one, whatever the mode; no row if it is no longer open.
create or replace function open_sync_session(
    p_page_id text, p_fence bigint, p_mode text, p_run_id text, p_session uuid default null
) returns setof sync_state
language plpgsql
set search_path from current
as $$
declare
    v_page facebook_pages;
    v_full sync_state;
    v_session sync_state;
    v_overlap constant interval := interval '10 minutes';
begin
    perform check_fence(p_page_id, p_fence);
    select * into v_page from facebook_pages where facebook_page_id = p_page_id;
    select * into v_full from sync_state
        where page_id = p_page_id and outcome is null and mode = 'full';

    if p_session is not null then
        select * into v_session from sync_state
            where sync_session_id = p_session and page_id = p_page_id and outcome is null;
        if not found then
            return;
        end if;
    else
        -- Somebody reset last_synced_at since the open full walk began: it begins anew. So does an
        -- explicit one, but for a call that is repeated because its acknowledgement was lost.
        if p_mode = 'full' and v_full.run_id = p_run_id and v_full.step = 0 then
            v_session := v_full;
        elsif p_mode = 'full' or (v_full.sync_session_id is not null
            and v_page.last_synced_at is null and v_full.page_last_synced_at is not null)
        then
            update sync_state
            set outcome = 'superseded', ended_at = now(), updated_at = now()
            where sync_session_id = v_full.sync_session_id;
            v_full := null;
        elsif p_mode = 'auto' or (p_mode = 'incremental' and v_full.next_watermark is null) then
            v_session := v_full;
        end if;

        if v_session.sync_session_id is null and p_mode <> 'full'
            and (v_page.last_synced_at is not null or v_full.next_watermark is not null)
        then
            select * into v_session from sync_state
                where page_id = p_page_id and outcome is null and mode = 'incremental';
            if not found then
                insert into sync_state (page_id, user_id, mode, boundary, page_last_synced_at)
                values (p_page_id, v_page.user_id, 'incremental',
                        coalesce(v_full.next_watermark, v_page.watermark) - v_overlap,
                        v_page.last_synced_at)
                returning * into v_session;
            end if;
        elsif v_session.sync_session_id is null then
            insert into sync_state (page_id, user_id, mode, page_last_synced_at)
            values (p_page_id, v_page.user_id, 'full', v_page.last_synced_at)
            returning * into v_session;
            -- What Meta refused may have been for want of a permission: it is asked for again, but
            -- not again and again.
            update thread_gaps set unreadable = false, sync_session_id = v_session.sync_session_id
            where page_id = p_page_id and unreadable and attempts between 1 and 2;
        end if;
    end if;

    -- Gaps that an ended session left open are this one's to close.
    update thread_gaps g
    set sync_session_id = v_session.sync_session_id
    from sync_state s
    where g.page_id = p_page_id and not g.unreadable
      and s.sync_session_id = g.sync_session_id and s.outcome is not null;

    return query
    update sync_state
    set run_id = p_run_id, attempts = attempts + 1, attempt_step = step, updated_at = now()
    where sync_session_id = v_session.sync_session_id
    returning *;
end
$$;

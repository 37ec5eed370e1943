-- The open session of a page that is to be walked: one that is there, or a new one.
--
-- p_mode: 'full' starts a full walk and supersedes an open one; 'incremental' walks what is new,
--   also between the runs of an open full walk, bounded by that walk's next watermark; 'auto'
--   resumes what is open, else decides by last_synced_at (NULL: full).
-- p_run_id: the run that is to walk it, NULL if none is there yet.
create or replace function choose_sync_session(p_page_id text, p_mode text, p_run_id text)
returns uuid
language plpgsql
set search_path from current
as $$
declare
    v_page facebook_pages;
    v_full sync_state;
    v_session uuid;
    v_overlap constant interval := interval '10 minutes';
begin
    -- Locked: a run that begins and somebody who asks for one choose one after the other.
    select * into v_page from facebook_pages where facebook_page_id = p_page_id for no key update;
    select * into v_full from sync_state
        where page_id = p_page_id and outcome is null and mode = 'full';
    -- Somebody reset last_synced_at since the open full walk began: it begins anew. So does an
    -- explicit one, but for a call that is repeated because its acknowledgement was lost.
    if p_mode = 'full' and v_full.run_id = p_run_id and v_full.step = 0 then
        return v_full.sync_session_id;
    elsif p_mode = 'full' or (v_full.sync_session_id is not null
        and v_page.last_synced_at is null and v_full.page_last_synced_at is not null)
    then
        update sync_state
        set outcome = 'superseded', ended_at = now(), updated_at = now(), changes = changes + 1
        where sync_session_id = v_full.sync_session_id;
        if found then
            perform announce_sync(p_page_id, v_full.sync_session_id);
            perform add_to_sync_totals(p_page_id, '{"sessions": {"full superseded": 1}}');
        end if;
        v_full := null;
    elsif v_full.sync_session_id is not null
        and (p_mode = 'auto' or (p_mode = 'incremental' and v_full.next_watermark is null))
    then
        return v_full.sync_session_id;
    end if;

    if p_mode <> 'full' and (v_page.last_synced_at is not null or v_full.next_watermark is not null)
    then
        select sync_session_id into v_session from sync_state
            where page_id = p_page_id and outcome is null and mode = 'incremental';
        if not found then
            insert into sync_state (page_id, user_id, mode, cutoff, page_last_synced_at)
            values (p_page_id, v_page.user_id, 'incremental',
                    coalesce(v_full.next_watermark, v_page.watermark) - v_overlap,
                    v_page.last_synced_at)
            returning sync_session_id into v_session;
        end if;
        return v_session;
    end if;
    insert into sync_state (page_id, user_id, mode, page_last_synced_at, expected)
    values (p_page_id, v_page.user_id, 'full', v_page.last_synced_at,
            case when v_page.watermark is not null then (
                select count(*) from messenger_threads t
                where t.page_id = p_page_id and t.gone_at is null) end)
    returning sync_session_id into v_session;
    -- What Meta refused may have been for want of a permission: it is asked for again, but
    -- not again and again.
    update thread_gaps set unreadable = false, sync_session_id = v_session
    where page_id = p_page_id and unreadable and attempts between 1 and 2;
    return v_session;
end
$$;

-- Returns the page's session to walk: an open one, or a new one.
--
-- p_mode: 'full' starts a full walk that restores, and supersedes an open one. 'sweep' starts a full
--   walk that does not, or resumes an open one of either kind. 'incremental' walks what is new,
--   down to the watermark, or, between the runs of an open full walk, down to that walk's next
--   watermark. 'auto' resumes an open full walk, else decides by last_synced_at (NULL: full).
-- p_run_id: the run that walks the session; NULL if there is none yet.
--
-- A page of an adopted database counts as never synced until a full session of ours completes.
--
-- The first line that matches decides:
--
--   mode         open full walk                                page           decision
--   full         this run's own, nothing loaded (the call                     resume full
--                is a retry: its acknowledgement was lost)
--   full         any or none                                                  start full
--   any          started while last_synced_at was set          reset to NULL  start full
--   sweep        any                                                          resume full
--   sweep        none                                                         start full
--   auto         backing off after two failed attempts     watermark known (see incremental)
--   auto         any                                                          resume full
--   incremental  without next_watermark: nothing read yet     never synced    resume full
--   any          none                                          never synced   start full
--   any          any or none, with an open incremental                        resume incremental
--   any          any or none                                                  start incremental
create or replace function :own.choose_sync_session(p_page_id text, p_mode text, p_run_id text)
returns uuid
language plpgsql
set search_path from current
-- An average session or page has many gaps, so that reading all may look cheaper than an index.
set enable_seqscan = off
set jit = off
as $$
declare
    v_page facebook_pages;
    v_full sync_state;
    v_incremental uuid;
    v_watermark timestamptz;
    v_decision text;
    v_started uuid;
begin
    -- The lock serializes this choice between a starting run and a request.
    select * into v_page from facebook_pages where facebook_page_id = p_page_id for no key update;
    select * into v_full from sync_state
        where page_id = p_page_id and outcome is null and mode = 'full';
    select sync_session_id into v_incremental from sync_state
        where page_id = p_page_id and outcome is null and mode = 'incremental';
    v_watermark := coalesce(v_full.next_watermark, v_page.watermark);
    if exists (select from adopted_pages a where a.page_id = p_page_id and a.synced_at is null) then
        -- The replaced application may set it meanwhile, and it does not say what was read.
        v_page.last_synced_at := null;
    end if;
    v_decision := case
        when p_mode = 'full' and v_full.run_id = p_run_id and v_full.step = 0 then 'resume_full'
        when p_mode = 'full' then 'start_full'
        when v_page.last_synced_at is null and v_full.page_last_synced_at is not null
            then 'start_full'
        when p_mode = 'sweep' and v_full.sync_session_id is not null then 'resume_full'
        when p_mode = 'sweep' then 'start_full'
        when p_mode = 'auto' and v_full.sync_session_id is not null
            and not (v_full.idle_attempts > 1 and v_full.last_error is not null
                     and v_full.not_before > now() and v_watermark is not null)
            then 'resume_full'
        when v_full.sync_session_id is not null and v_watermark is null then 'resume_full'
        when v_full.sync_session_id is null and v_page.last_synced_at is null then 'start_full'
        when v_incremental is not null then 'resume_incremental'
        else 'start_incremental'
    end;

    if v_decision = 'start_full' then
        perform supersede_sync_session(p_page_id, v_full.sync_session_id);
        v_started := start_full_sync(p_page_id, p_mode = 'full');
        -- The new session is complete only when the history that the old one left is read, too.
        update thread_gaps set sync_session_id = v_started
        where sync_session_id = v_full.sync_session_id and not unreadable;
        return v_started;
    elsif v_decision = 'start_incremental' then
        return start_incremental_sync(p_page_id, v_watermark);
    end if;
    return case v_decision when 'resume_full' then v_full.sync_session_id else v_incremental end;
end
$$;

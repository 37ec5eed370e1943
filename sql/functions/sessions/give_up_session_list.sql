-- Continues a session without the list of the page's threads, which Meta refuses: its known threads
-- are requested one by one. The watermark does not move, so once Meta lists the threads again,
-- everything since then is read. MPS01 if the session is not open at p_step; MPL01 if the lease is
-- lost.
create or replace function :own.give_up_session_list(
    p_session uuid, p_fence bigint, p_step integer, p_reason text
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
begin
    perform commit_durably();
    update sync_state
    set list_refused = true, next_watermark = null, listed_at = now(), updated_at = now(),
        changes = changes + 1,
        truncated = 'Meta does not list the threads of this page. The known threads are requested'
            ' one by one; new threads arrive by webhook. ' || p_reason
    where sync_session_id = p_session and step = p_step and outcome is null
    returning page_id into v_page_id;
    if not found then
        raise exception 'sync session % is not open at step %', p_session, p_step
            using errcode = 'MPS01', hint = 'Another run resumed it.';
    end if;
    perform check_fence(v_page_id, p_fence);
    perform announce_sync(v_page_id, p_session);
end
$$;

-- Records a warning about a session, for the people who look after it. MPL01 if the lease is lost.
create or replace function :own.warn_sync_session(p_session uuid, p_fence bigint, p_warning text)
returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
begin
    update sync_state set warning = p_warning, updated_at = now(), changes = changes + 1
    where sync_session_id = p_session and outcome is null
    returning page_id into v_page_id;
    perform check_fence(v_page_id, p_fence);
    perform announce_sync(v_page_id, p_session);
end
$$;

-- Ends an open full session because a new one starts. Does nothing if p_session is NULL.
create or replace function :own.supersede_sync_session(p_page_id text, p_session uuid)
returns void
language plpgsql
set search_path from current
as $$
begin
    perform commit_durably();
    update sync_state
    set outcome = 'superseded', ended_at = now(), updated_at = now(), changes = changes + 1
    where sync_session_id = p_session;
    if found then
        perform announce_sync(p_page_id, p_session);
        perform add_to_sync_totals(p_page_id, '{"sessions": {"full superseded": 1}}');
    end if;
end
$$;

-- Notifies listeners on the channel messenger_progress that a session changed: {"page_id",
-- "sync_session_id"}.
create or replace function :own.announce_sync(p_page_id text, p_session uuid)
returns void
language sql
begin atomic
    select pg_notify('messenger_progress', jsonb_build_object(
        'page_id', p_page_id, 'sync_session_id', p_session)::text);
end;

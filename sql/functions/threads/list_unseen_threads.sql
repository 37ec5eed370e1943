-- For a session without a list, returns the known threads that it has still to request, newest
-- first. A full session requests all of them, an incremental one those with activity since its
-- cutoff.
create or replace function :own.list_unseen_threads(p_session uuid, p_limit integer)
returns setof text
language sql stable
set search_path from current
as $$
    select t.thread_id
    from sync_state s
    join messenger_threads t on t.page_id = s.page_id
    left join messenger_conversations c on c.id = t.conversation_id
    where s.sync_session_id = p_session
      and t.last_session_id is distinct from p_session
      and t.gone_at is null
      and (s.mode = 'full'
           or greatest(t.updated_time, c.last_message_time) >= coalesce(s.cutoff, '-infinity'))
    order by greatest(t.updated_time, c.last_message_time) desc, t.thread_id
    limit p_limit
$$;

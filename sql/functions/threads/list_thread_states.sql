-- Returns what is known of these threads, and whether a gap in their history is open. A thread
-- counts as unknown, and is read again from scratch, if Meta reported it gone, or if its messages
-- were stored and its conversation has been deleted.
--
-- p_session: the full session that walks them. If it restores, a thread that it has not read yet has
--   no newest messages: all of its history is read. If it does not, stored_count is the number of
--   messages that are stored, and tried_… are the counts with which it was last read whole because
--   Meta counted more messages.
create or replace function :own.list_thread_states(
    p_page_id text, p_thread_ids text[], p_session uuid
) returns table (
    thread_id text, sender_id text, updated_time timestamptz, message_count integer,
    newest_message_id text, answered_at timestamptz, newest_loaded_at timestamptz,
    newest_loaded_message_id text, has_gap boolean,
    stored_count integer, tried_stored integer, tried_counted integer
)
language sql stable security definer
set search_path from current
as $$
    select t.thread_id, t.sender_id, t.updated_time, t.message_count,
           case when not h.is_hidden then t.newest_message_id end, t.answered_at,
           case when not h.is_hidden then t.newest_loaded_at end,
           case when not h.is_hidden then t.newest_loaded_message_id end,
           exists (select from thread_gaps g
                   where g.page_id = t.page_id and g.thread_id = t.thread_id and not g.unreadable),
           case when s.mode = 'full' and not s.restores then (
               select c.message_count from messenger_conversations c where c.id = t.conversation_id)
           end,
           t.tried_stored, t.tried_counted
    from unnest(p_thread_ids) as requested (thread_id)
    cross join lateral (
        select * from messenger_threads m
        where m.page_id = p_page_id and m.thread_id = requested.thread_id
          and m.gone_at is null
          and (m.conversation_id is not null or m.newest_message_id is null)
        limit 1  -- forces a lookup per thread instead of a scan of the page's threads
    ) t
    cross join (select mode, restores from sync_state where sync_session_id = p_session) s
    cross join lateral (
        select s.restores and t.last_session_id is distinct from p_session as is_hidden) h
$$;

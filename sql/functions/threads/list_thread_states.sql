-- Returns what is known of these threads, and whether a gap in their history is open. A thread
-- counts as unknown, and is read again from scratch, if Meta reported it gone, or if its messages
-- were stored and its conversation has been deleted.
create or replace function :own.list_thread_states(p_page_id text, p_thread_ids text[])
returns table (
    thread_id text, sender_id text, updated_time timestamptz, message_count integer,
    newest_message_id text, answered_at timestamptz, newest_loaded_at timestamptz,
    newest_loaded_message_id text, has_gap boolean
)
language sql stable
set search_path from current
as $$
    select t.thread_id, t.sender_id, t.updated_time, t.message_count, t.newest_message_id,
           t.answered_at, t.newest_loaded_at, t.newest_loaded_message_id,
           exists (select from thread_gaps g
                   where g.page_id = t.page_id and g.thread_id = t.thread_id and not g.unreadable)
    from unnest(p_thread_ids) as requested (thread_id)
    cross join lateral (
        select * from messenger_threads m
        where m.page_id = p_page_id and m.thread_id = requested.thread_id
          and m.gone_at is null
          and (m.conversation_id is not null or m.newest_message_id is null)
        limit 1  -- forces a lookup per thread instead of a scan of the page's threads
    ) t
$$;

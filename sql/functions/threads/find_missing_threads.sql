-- Returns the threads of a page that p_session did not see and that no other source mentioned since
-- p_started, in order of thread_id: up to p_limit after p_after.
create or replace function :own.find_missing_threads(
    p_page_id text, p_session uuid, p_started timestamptz, p_after text, p_limit integer
) returns table (thread_id text)
language sql stable
set search_path from current
set enable_seqscan = off  -- see list_missing_threads
as $$
    select t.thread_id
    from messenger_threads t
    where t.page_id = p_page_id and t.thread_id > p_after and t.gone_at is null
      and t.last_session_id is distinct from p_session and t.answered_at < p_started
      -- Not `not exists`, which may become a join: that reads all events. A new message changes its
      -- conversation; of one that did not change only the last events are read, for what else may be
      -- new: a long conversation is not read whole.
      and case
          when (select c.updated_at from messenger_conversations c where c.id = t.conversation_id)
               >= p_started
          then (select true from contact_interaction_events e
                where e.conversation_id = t.conversation_id and e.created_at >= p_started
                limit 1)
          else (select true from contact_interaction_events e
                where e.conversation_id = t.conversation_id
                  and e.event_timestamp >= p_started - interval '1 day'
                  and e.created_at >= p_started
                limit 1) end is null
    order by t.page_id, t.thread_id
    limit p_limit
$$;

-- For a session without a list, returns the known threads that it has still to request, newest
-- first. A full session requests all of them. An incremental one requests
--
--   those with activity since its cutoff, if the list was read when they were last requested: the
--     page's watermark is then theirs;
--   else, each by its own watermark, those with a message that no walk has loaded (a webhook brought
--     it), and those that have been left alone for as long as they had been idle then, and
--     for at least 10 minutes: an idle thread, and one that cannot be read, is requested more and
--     more rarely.
create or replace function :own.list_unseen_threads(p_session uuid, p_limit integer)
returns setof text
language sql stable security definer
set search_path from current
as $$
    select t.thread_id
    from sync_state s
    join messenger_threads t on t.page_id = s.page_id
    left join messenger_conversations c on c.id = t.conversation_id
    left join sync_state last on last.sync_session_id = t.last_session_id
    cross join lateral (
        select greatest(t.updated_time, c.last_message_time) as active_at,
               -- Meta's answer, or the session that asked without one.
               greatest(t.answered_at, last.started_at) as asked_at) a
    where s.sync_session_id = p_session
      and t.last_session_id is distinct from p_session
      and t.gone_at is null
      and case
          when s.mode = 'full' then true
          when not coalesce(last.list_refused, false)
              then a.active_at >= coalesce(s.cutoff, '-infinity')
          -- Meta's times are whole seconds. What it does not list a while later it never lists.
          else (date_trunc('second', c.last_message_time)
                    > coalesce(t.newest_loaded_at, '-infinity')
                and c.last_message_time > a.asked_at - interval '5 minutes')
               or now() - a.asked_at
                  > greatest(a.asked_at - a.active_at, interval '10 minutes')
          end
    order by a.active_at desc, t.thread_id
    limit p_limit
$$;

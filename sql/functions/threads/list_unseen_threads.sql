-- For a session without a list, returns the known threads that it has still to request, newest
-- first. A full session requests all of them. An incremental one requests
--
--   those with activity since its cutoff, if the list was read when they were last requested: the
--     page's watermark is then theirs;
--   else, each by its own watermark, those with a message that no walk has loaded (a webhook brought
--     it), and those that have been left alone for as long as they had been idle then, and
--     for at least 10 minutes: an idle thread, and one that cannot be read, is requested more and
--     more rarely.
--
-- Reads all of the page's threads, hence p_limit should be large.
create or replace function :own.list_unseen_threads(p_session uuid, p_limit integer)
returns setof text
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- the threads and sessions of one page, not those of all
set jit = off
as $$
    select t.thread_id
    from sync_state s
    cross join lateral (
        select * from messenger_threads m
        where m.page_id = s.page_id and m.last_session_id is distinct from p_session
          and m.gone_at is null
        offset 0
    ) t
    left join lateral (
        select o.last_message_time from messenger_conversations o
        where o.id = t.conversation_id limit 1
    ) c on true
    left join lateral (
        select o.list_refused, o.started_at from sync_state o
        where o.sync_session_id = t.last_session_id limit 1
    ) last on true
    cross join lateral (
        select greatest(t.updated_time, c.last_message_time) as active_at,
               -- Meta's answer, or the session that asked without one.
               greatest(t.answered_at, last.started_at) as asked_at) a
    where s.sync_session_id = p_session
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

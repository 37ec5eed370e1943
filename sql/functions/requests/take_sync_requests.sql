-- The requests that a run should be made for now, each with the number of the attempt; asking again
-- at once gives none of them. A request waits until a run began with its session: one whose run
-- was lost before that is given out again, after a while, five times in all: then it ends, and its
-- session is an open one like others.
--
-- p_busy: pages whose runs are not finished.
create or replace function :own.take_sync_requests(p_busy text[])
returns table (
    id bigint, page_id text, sync_session_id uuid, max_conversations integer, attempt integer
)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_most constant integer := 5;
    v_ended record;
begin
    -- What can no longer become a run waits no more.
    for v_ended in
        update sync_requests r
        set ended_at = now(),
            error = case when s.outcome is not null then 'its session ended as ' || s.outcome
                         when coalesce(p.status, '') not in ('active', 'paused')
                             then 'the page is ' || coalesce(p.status, 'not in the registry')
                         else format('none of %s runs began with it; the page''s last run in Dagster'
                                     ' tells why', r.attempts) end
        from sync_state s left join facebook_pages p on p.facebook_page_id = s.page_id
        where r.ended_at is null and s.sync_session_id = r.sync_session_id
          and (s.outcome is not null or coalesce(p.status, '') not in ('active', 'paused')
               or (r.attempts >= v_most and r.not_before <= now() and r.page_id <> all (p_busy)
                   and not exists (select from sync_locks l where l.page_id = r.page_id
                                   and l.expires_at > clock_timestamp())))
        returning r.page_id, r.sync_session_id
    loop
        update sync_state s set changes = s.changes + 1
        where s.sync_session_id = v_ended.sync_session_id;
        perform announce_sync(v_ended.page_id, v_ended.sync_session_id);
    end loop;
    return query
    update sync_requests r
    set attempts = r.attempts + 1,
        not_before = now() + least(
            interval '15 minutes', interval '30 seconds' * 2 ^ least(r.attempts, 10))
    where r.ended_at is null and r.not_before <= now() and r.page_id <> all (p_busy)
      and not exists (
          select from sync_locks l where l.page_id = r.page_id and l.expires_at > clock_timestamp())
    returning r.id, r.page_id, r.sync_session_id, r.max_conversations, r.attempts;
end
$$;

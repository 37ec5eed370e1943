-- Claims the requests for which a run should be launched now, each with the number of the attempt.
-- A repeated call returns none of them until their backoff is over. A request stays pending until a
-- run opens its session. If its runs are lost before that, it is returned again, five times in all.
-- Then it ends, and its session remains an open one like any other.
--
-- p_busy: pages whose runs are not finished.
create or replace function :own.claim_sync_requests(p_busy text[])
returns table (
    id bigint, page_id text, sync_session_id uuid, max_conversations integer, attempt integer
)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    v_most constant integer := 5;
    v_ended record;
begin
    -- End the requests that can no longer lead to a run.
    for v_ended in
        update sync_requests r
        set ended_at = now(),
            error = case when s.outcome is not null
                             then format('The requested session has ended (%s).', s.outcome)
                         when p.status is null then 'The page is not in the registry.'
                         when p.status not in ('active', 'paused')
                             then format('The page''s status is %s.', p.status)
                         else format('None of %s runs started the requested sync. The page''s last'
                                     ' run in Dagster shows the reason.', r.attempts) end
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

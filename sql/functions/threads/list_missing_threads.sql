-- Returns the threads that a full walk should have seen but did not, and that no other source
-- mentioned since it started, each with `probe_thread_id`, a thread that it did see. p_final is for
-- after the head of the list was read again; without it returns one of them, if there are any.
--
-- Returns none if the walk proves nothing: its list was truncated, contained records that identify
-- no thread, or was empty. With p_final returns none either if more than a twentieth of all threads
-- (and more than three) are missing: so many do not disappear in a week. The session's warning then
-- gives the reason. MPL01 if the lease is lost.
create or replace function :own.list_missing_threads(
    p_session uuid, p_fence bigint, p_final boolean
) returns table (thread_id text, probe_thread_id text)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    v_session sync_state;
    v_probe text;
    v_known bigint;
    v_missing text[];
    v_reason text;
begin
    select * into v_session from sync_state where sync_session_id = p_session;
    perform check_fence(v_session.page_id, p_fence);
    if v_session.mode <> 'full' or v_session.truncated is not null then
        return;
    end if;
    select count(*), array_agg(t.thread_id order by t.updated_time desc) filter (
               where t.last_session_id is distinct from p_session
                 and t.answered_at < v_session.started_at
                 and not exists (
                     select from contact_interaction_events e
                     where e.conversation_id = t.conversation_id
                       and e.created_at >= v_session.started_at)),
           (array_agg(t.thread_id order by t.updated_time desc) filter (
               where t.last_session_id = p_session))[1]
    into v_known, v_missing, v_probe
    from messenger_threads t
    where t.page_id = v_session.page_id and t.gone_at is null;

    v_reason := case
        when v_missing is null then null
        when v_probe is null then 'the list was empty'
        when v_session.unidentified_records = 1 then '1 record of the list has no thread id'
        when v_session.unidentified_records > 1 then format(
            '%s records of the list have no thread id',
            to_char(v_session.unidentified_records, 'FM999,999,999,999'))
        when p_final and cardinality(v_missing) > greatest(3, v_known / 20) then format(
            '%s of %s threads are missing from the list at once',
            to_char(cardinality(v_missing), 'FM999,999,999,999'),
            to_char(v_known, 'FM999,999,999,999'))
    end;
    if v_reason is not null then
        perform warn_sync_session(
            p_session, p_fence, format('Nothing was marked deleted: %s.', v_reason));
        return;
    end if;
    return query
    select missing, v_probe from unnest(v_missing) as missing
    limit case when not p_final then 1 end;
end
$$;

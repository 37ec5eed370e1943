-- The threads that a full walk ought to have seen and did not, and of which no source has told
-- since it began; with each a thread that it did see. None where the walk proves nothing: its
-- list was cut, held records that name no thread, or was empty. With p_final, after the head of
-- the list was read once more, none either if they are more than a twentieth of all (and more than
-- three): so many do not vanish in a week. Then the session's warning says why.
create or replace function :own.list_missing_threads(p_session uuid, p_fence bigint, p_final boolean)
returns table (thread_id text, living text)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_session sync_state;
    v_living text;
    v_known bigint;
    v_missing text[];
    v_doubt text;
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
    into v_known, v_missing, v_living
    from messenger_threads t
    where t.page_id = v_session.page_id and t.gone_at is null;

    v_doubt := case
        when v_missing is null then null
        when v_living is null then 'the list was empty'
        when v_session.unidentified_records > 0 then format(
            '%s records of the list do not tell which thread they are', v_session.unidentified_records)
        when p_final and cardinality(v_missing) > greatest(3, v_known / 20) then format(
            '%s of %s threads at once are not listed', cardinality(v_missing), v_known)
    end;
    if v_doubt is not null then
        perform warn_sync_session(p_session, p_fence, 'Nothing is marked deleted: ' || v_doubt);
        return;
    end if;
    return query select missing, v_living from unnest(v_missing) as missing;
end
$$;

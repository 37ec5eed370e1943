-- Returns up to p_limit threads that a full walk should have seen but did not, and that no other source
-- mentioned since it started, in order of thread_id, after p_after; each with `probe_thread_id`, a
-- thread that it did see. p_final is for after the head of the list was read again; without it returns
-- one of them, if there are any.
--
-- Returns none if the walk proves nothing: its list was truncated, contained records that identify
-- no thread, or was empty. With p_final the first call (p_after is '') returns none either if more than
-- a twentieth of all threads (and more than three) are missing: so many do not disappear in a week,
-- unless a person says so (see accept_deletions). The session's warning then gives the reason. MPL01
-- if the lease is lost.
--
-- The first call reads the page's threads, as the walk did; memory stays flat.
create or replace function :own.list_missing_threads(
    p_session uuid, p_fence bigint, p_final boolean, p_after text default '',
    p_limit integer default 50
) returns table (thread_id text, probe_thread_id text)
language plpgsql security definer
set search_path from current
-- A page can have most of the threads: without this, the others' walks would read them, too.
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_session sync_state;
    v_probe text;
    v_known bigint;
    v_missing bigint;
    v_found text[];
    v_reason text;
begin
    select * into v_session from sync_state where sync_session_id = p_session;
    perform check_fence(v_session.page_id, p_fence);
    if v_session.mode <> 'full' or v_session.truncated is not null then
        return;
    end if;
    v_found := array(
        select m.thread_id
        from find_missing_threads(
            v_session.page_id, p_session, v_session.started_at, p_after,
            case when p_final then p_limit else 1 end) m);
    if v_found = '{}' then
        return;
    end if;
    select t.thread_id into v_probe
    from messenger_threads t
    where t.page_id = v_session.page_id and t.gone_at is null and t.last_session_id = p_session
    order by t.page_id, t.thread_id limit 1;
    if p_final and p_after = '' then
        select count(*) into v_known from messenger_threads t
        where t.page_id = v_session.page_id and t.gone_at is null;
        select count(*) into v_missing
        from find_missing_threads(v_session.page_id, p_session, v_session.started_at, '', null);
    end if;

    v_reason := case
        when v_probe is null then 'the list was empty'
        when v_session.unidentified_records = 1 then '1 record of the list has no thread id'
        when v_session.unidentified_records > 1 then format(
            '%s records of the list have no thread id',
            to_char(v_session.unidentified_records, 'FM999,999,999,999'))
        when v_missing > greatest(3, v_known / 20)
            and not exists (
                select from accepted_deletions a
                where a.page_id = v_session.page_id and a.accepted_at > now() - interval '7 days')
        then format(
            '%s of %s threads are missing from the list at once. If they were deleted at Meta, run'
            ' `messenger-pipeline sync %s --accept-deletions`: each is asked for by its id, and'
            ' marked deleted if Meta no longer has it',
            to_char(v_missing, 'FM999,999,999,999'),
            to_char(v_known, 'FM999,999,999,999'), v_session.page_id)
    end;
    if v_reason is not null then
        perform warn_sync_session(
            p_session, p_fence, format('Nothing was marked deleted: %s.', v_reason));
        return;
    end if;
    return query select missing, v_probe from unnest(v_found) as missing;
end
$$;

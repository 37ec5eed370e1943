-- Loads the contents of one response from Meta, all or nothing: conversations and events, the
-- states of threads, gaps, quarantined records, and with them the session's cursor and counters.
-- Rows that PostgreSQL rejects are quarantined and the rest is loaded (see load_conversations); if
-- more than a fifth are rejected, nothing is loaded (MPQ01).
--
-- p_step: the number of responses that the session has loaded before this one. MPS01 if the session
--   is at another step; MPL01 if the lease is lost; MPG01 if the page was removed. A response that is already loaded (its
--   acknowledgement was lost) changes nothing and returns the same result as the first time.
-- p_conversations, p_classes: see load_conversations.
-- p_response: an object with these keys.
--
--   load_id        identifies the response, for the retry above
--   threads        [{thread_id, sender_id, updated_time, message_count, newest_message_id,
--                  answered_at, newest_loaded_at, newest_loaded_message_id, tried_stored?,
--                  tried_counted?}]
--   threads_seen   [thread_id], unchanged threads in the list; used in full walks only
--   asked_for      [thread_id], threads requested one by one, in a walk of any mode
--   gaps_opened    [{thread_id, resume_cursor, newest_time, until_time, reason, error}]; a gap
--                  with a reason is unreadable: Meta withholds it; one with an error is put off
--   gap_moved      see move_gap
--   list_gap_moved {id, resume_cursor, cursor_fingerprint, newest_time} after a response of the
--                  unread part of the list; {id, closed: true} after the last one
--   account_ids    [id], further ids of the page's account
--   quarantined    [{source, kind, identity, thread_id, reason, record}]
--   unidentified_records, unknown_fields, fetched
--   api_calls, api_errors, seconds, waited_seconds: the effort since the last load
--   cursor, cursor_fingerprint, last_conversation_id, last_updated_time, next_watermark, listed,
--   cutoff_ignored: only if the response moves the session's position in the list
create or replace function :own.load_sync_response(
    p_session uuid, p_fence bigint, p_step integer, p_conversations jsonb, p_response jsonb,
    p_classes text[] default array['09', '22', '23', '27', '38', '39', '44', '54', 'P0']
) returns table (
    inserted integer, updated integer, unchanged integer, events_created integer, refused integer
)
language plpgsql security definer
set search_path from current
set enable_seqscan = off  -- see merge_conversations
set jit = off
as $$
#variable_conflict use_column
declare
    v_session sync_state;
    v_fetched integer := coalesce((p_response ->> 'fetched')::integer, 0);
    v_inserted integer := 0;
    v_updated integer := 0;
    v_unchanged integer;
    v_events integer := 0;
    v_refused jsonb := '[]';
    v_quarantined jsonb := coalesce(p_response -> 'quarantined', '[]');
    v_seen text[];
begin
    -- A crash of the server can undo this load, but then together with the session's step, and
    -- the walk resumes from there. The commit that ends the session makes all of them durable.
    perform set_config('synchronous_commit', 'off', true);
    -- The fence first: its error names the run that resumed the session.
    select * into v_session from sync_state s where s.sync_session_id = p_session;
    perform check_fence(v_session.page_id, p_fence);
    if not exists (select from facebook_pages
                   where facebook_page_id = v_session.page_id and status <> 'removed')
    then
        raise exception 'Page % was removed while this run synced it, so the run ended. What it loaded is kept. To sync the page again, run `messenger-pipeline pages add %`.',
            v_session.page_id, v_session.page_id using errcode = 'MPG01';
    end if;
    select * into v_session from sync_state s
        where s.sync_session_id = p_session and s.step = p_step and s.outcome is null
        for no key update;
    if not found then
        return query
        select r.inserted, r.updated, r.unchanged, r.events_created, r.refused
        from sync_state s
        cross join lateral jsonb_to_record(s.last_load) as r (
            load_id text, inserted integer, updated integer, unchanged integer,
            events_created integer, refused integer)
        where s.sync_session_id = p_session and s.step = p_step + 1 and s.outcome is null
          and r.load_id = p_response ->> 'load_id';
        if not found then
            raise exception 'sync session % is not open at step %', p_session, p_step
                using errcode = 'MPS01', hint = 'Another run resumed it.';
        end if;
        return;
    end if;

    perform identify_thread_contacts(v_session.page_id, p_response -> 'threads');
    if jsonb_array_length(p_conversations) > 0 then
        select l.inserted,
               -- Further history of a thread does not count as another updated conversation.
               case when p_response ? 'gap_moved' then 0 else l.updated end,
               l.events_created, l.refused
        into v_inserted, v_updated, v_events, v_refused
        from load_conversations(v_session.page_id, p_conversations, p_fence, p_classes) l;
        if jsonb_array_length(v_refused) > 4 and jsonb_array_length(v_refused) * 5 > (
            select sum(jsonb_array_length(c -> 'events'))
            from jsonb_array_elements(p_conversations) as c)
        then
            raise exception 'PostgreSQL rejected % rows of the response. The first error: %',
                to_char(jsonb_array_length(v_refused), 'FM999,999,999,999'),
                v_refused #>> '{0,reason}' using errcode = 'MPQ01';
        end if;
    end if;
    if v_session.mode = 'incremental' and v_events > 0 then
        perform record_uncovered_messages(v_session.page_id, p_conversations);
    end if;
    if v_session.mode = 'incremental' then
        perform record_uncovered_reactions(v_session.page_id, p_conversations);
    end if;
    v_unchanged := greatest(v_fetched - v_inserted - v_updated, 0);

    insert into messenger_threads as t
        (page_id, thread_id, sender_id, conversation_id, updated_time, message_count,
         newest_message_id, answered_at, newest_loaded_at, newest_loaded_message_id,
         tried_stored, tried_counted, last_session_id)
    select v_session.page_id, n.thread_id, coalesce(k.sender_id, n.sender_id),
           (select c.id from messenger_conversations c
            where c.page_id = v_session.page_id
              and c.sender_id = coalesce(k.sender_id, n.sender_id)),
           n.updated_time, n.message_count,
           n.newest_message_id, n.answered_at, n.newest_loaded_at, n.newest_loaded_message_id,
           n.tried_stored, n.tried_counted, p_session
    from jsonb_to_recordset(p_response -> 'threads') as n (
        thread_id text, sender_id text, updated_time timestamptz, message_count integer,
        newest_message_id text, answered_at timestamptz, newest_loaded_at timestamptz,
        newest_loaded_message_id text, tried_stored integer, tried_counted integer)
    -- Of a thread that is its own contact, the contact's id may be known from a webhook.
    left join lateral (
        select c.sender_id from contactless_threads c
        where c.page_id = v_session.page_id and c.thread_id = n.thread_id
          and n.sender_id = n.thread_id
        limit 1) k on true
    on conflict (page_id, thread_id) do update
        -- A response without participants does not clear the known contact.
        set sender_id = coalesce(excluded.sender_id, t.sender_id),
            conversation_id = coalesce(excluded.conversation_id, t.conversation_id),
            updated_time = excluded.updated_time, message_count = excluded.message_count,
            newest_message_id = excluded.newest_message_id, answered_at = excluded.answered_at,
            newest_loaded_at = excluded.newest_loaded_at,
            newest_loaded_message_id = excluded.newest_loaded_message_id,
            tried_stored = coalesce(excluded.tried_stored, t.tried_stored),
            tried_counted = coalesce(excluded.tried_counted, t.tried_counted),
            last_session_id = excluded.last_session_id,
            attempts = 0,
            gone_at = null;

    -- A full walk records which threads it saw: one that it never saw may be gone.
    v_seen := array(
        select jsonb_array_elements_text(p_response -> 'threads_seen')
        where v_session.mode = 'full'
        union all
        select jsonb_array_elements_text(p_response -> 'asked_for'));
    if v_seen <> '{}' then
        update messenger_threads t
        set last_session_id = p_session, attempts = 0
        where t.page_id = v_session.page_id and t.thread_id = any (v_seen)
          and (t.last_session_id is distinct from p_session or t.attempts > 0);
    end if;

    if jsonb_array_length(p_response -> 'gaps_opened') > 0 then
        insert into thread_gaps
            (page_id, thread_id, sync_session_id, resume_cursor, newest_time, until_time,
             unreadable, reason, attempts, last_error, first_failed_at, not_before)
        select v_session.page_id, g.thread_id, p_session, g.resume_cursor, g.newest_time,
               g.until_time, g.reason is not null, left(g.reason, 500),
               -- What Meta withholds is not tried again: see list_due_gaps.
               case when g.reason is not null then 3 when g.error is not null then 1 else 0 end,
               left(g.error, 500), case when g.error is not null then now() end,
               now() + case when g.error is not null then gap_pause(1) else interval '0' end
        from jsonb_to_recordset(p_response -> 'gaps_opened') as g (
            thread_id text, resume_cursor text, newest_time timestamptz, until_time timestamptz,
            reason text, error text)
        -- A thread that two responses list is planned twice; one with a gap is planned each time.
        where not exists (
            select from thread_gaps x
            where x.page_id = v_session.page_id and x.thread_id = g.thread_id
              and x.newest_time >= g.newest_time
              and (x.until_time is null or x.until_time <= g.until_time));
    end if;
    if p_response ? 'account_ids' then
        perform add_account_ids(v_session.page_id,
            array(select jsonb_array_elements_text(p_response -> 'account_ids')));
    end if;
    if p_response ? 'gap_moved' then
        perform move_gap(p_response -> 'gap_moved');
    end if;
    if p_response ? 'list_gap_moved' then
        perform move_list_gap(p_response -> 'list_gap_moved');
    end if;
    v_quarantined := v_quarantined || (
        select coalesce(jsonb_agg(jsonb_build_object(
            'source', 'sync', 'kind', 'event', 'reason', left(r ->> 'reason', 500),
            'identity', left(r #>> '{record,events,0,message_id}', 200),
            'record', r -> 'record')), '[]')
        from jsonb_array_elements(v_refused) as r);
    -- First: a record that is quarantined now is unresolved, whatever else arrived.
    perform resolve_arrived(
        v_session.page_id, p_conversations,
        array(select t ->> 'thread_id' from jsonb_array_elements(p_response -> 'threads') as t
              union all select jsonb_array_elements_text(p_response -> 'threads_seen')));
    if v_quarantined <> '[]' then
        perform quarantine(v_session.page_id, v_quarantined);
    end if;

    -- Meta answers for the page: an earlier refusal is not confirmed.
    update page_tokens t set refused_at = null, refused_as = null
    where t.page_id = v_session.page_id and t.refused_at is not null;

    update sync_state s
    set step = s.step + 1,
        idle_attempts = 0, failed_runs = 0,
        last_cursor = case when p_response ? 'cursor'
            then p_response ->> 'cursor' else s.last_cursor end,
        list_depth = s.list_depth + case when p_response ? 'cursor' then v_fetched else 0 end,
        cursor_fingerprint = coalesce(p_response ->> 'cursor_fingerprint', s.cursor_fingerprint),
        last_conversation_id = coalesce(
            p_response ->> 'last_conversation_id', s.last_conversation_id),
        last_updated_time = coalesce(
            (p_response ->> 'last_updated_time')::timestamptz, s.last_updated_time),
        next_watermark = coalesce(s.next_watermark, (p_response ->> 'next_watermark')::timestamptz),
        cutoff = case when (p_response ->> 'cutoff_ignored')::boolean then null else s.cutoff end,
        listed_at = coalesce(
            s.listed_at, case when (p_response ->> 'listed')::boolean then now() end),
        total_synced = s.total_synced + v_fetched,
        inserted = s.inserted + v_inserted,
        updated = s.updated + v_updated,
        unchanged = s.unchanged + v_unchanged,
        events_created = s.events_created + v_events,
        api_calls = s.api_calls + coalesce((p_response ->> 'api_calls')::integer, 0),
        quarantined = s.quarantined + jsonb_array_length(v_quarantined),
        failed_batches = s.failed_batches + (v_quarantined <> '[]')::integer,
        unidentified_records = s.unidentified_records
            + coalesce((p_response ->> 'unidentified_records')::integer, 0),
        worked_seconds = s.worked_seconds
            + coalesce((p_response ->> 'seconds')::double precision, 0),
        waited_seconds = s.waited_seconds
            + coalesce((p_response ->> 'waited_seconds')::double precision, 0),
        waiting_until = null, waiting_for = null,
        unknown_fields = add_counts(s.unknown_fields, p_response -> 'unknown_fields'),
        last_load = jsonb_build_object(
            'load_id', p_response ->> 'load_id', 'inserted', v_inserted, 'updated', v_updated,
            'unchanged', v_unchanged, 'events_created', v_events,
            'refused', jsonb_array_length(v_refused)),
        updated_at = now(), changes = s.changes + 1
    where s.sync_session_id = p_session;
    perform announce_sync(v_session.page_id, p_session);
    perform add_to_sync_totals(v_session.page_id, jsonb_build_object(
        'conversations', jsonb_build_object(
            'inserted', v_inserted, 'updated', v_updated, 'unchanged', v_unchanged),
        'events_created', v_events, 'quarantined', jsonb_array_length(v_quarantined),
        'api_calls', coalesce((p_response ->> 'api_calls')::integer, 0),
        'api_errors', p_response -> 'api_errors',
        'waited_seconds', coalesce((p_response ->> 'waited_seconds')::double precision, 0)));

    return query select v_inserted, v_updated, v_unchanged, v_events, jsonb_array_length(v_refused);
end
$$;

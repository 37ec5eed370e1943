-- Loads what one response of Meta's brought, all of it or nothing: conversations and events, the
-- threads' state, gaps, quarantined records, and with them the session's cursor and counters.
--
-- p_step: the responses that the session has loaded before this one. MPS01 if it is at another
--   step, as when a load whose acknowledgement was lost is repeated; MPL01 if the lease is lost.
-- p_response: {conversations: see bulk_upsert_conversations_with_events,
--   threads: [{thread_id, sender_id, updated_time, message_count, newest_message_id, answered_at,
--     frontier_time, frontier_message_id}], threads_seen: [thread_id] (unchanged ones),
--   gaps_opened: [{thread_id, resume_cursor, newest_time, until_time}],
--   gap_moved: {id, resume_cursor, newest_time}, {id, closed: true} or {id, unreadable: true},
--   quarantined: [{source, identity, reason, record}],
--   cursor, cursor_fingerprint, last_conversation_id, last_updated_time, next_watermark, listed,
--   boundary_ignored, fetched, api_calls}
create or replace function load_sync_response(
    p_session uuid, p_fence bigint, p_step integer, p_response jsonb
) returns table (inserted integer, updated integer, unchanged integer, events_created integer)
language plpgsql
set search_path from current
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    v_page_id text;
    v_mode text;
    v_inserted integer := 0;
    v_updated integer := 0;
    v_unchanged integer;
    v_events integer := 0;
begin
    update sync_state s
    set step = s.step + 1,
        last_cursor = p_response ->> 'cursor',
        cursor_fingerprint = p_response ->> 'cursor_fingerprint',
        last_conversation_id = coalesce(p_response ->> 'last_conversation_id', s.last_conversation_id),
        last_updated_time = coalesce((p_response ->> 'last_updated_time')::timestamptz, s.last_updated_time),
        next_watermark = coalesce(s.next_watermark, (p_response ->> 'next_watermark')::timestamptz),
        boundary = case when (p_response ->> 'boundary_ignored')::boolean then null else s.boundary end,
        listed_at = coalesce(s.listed_at, case when (p_response ->> 'listed')::boolean then now() end),
        total_synced = s.total_synced + coalesce((p_response ->> 'fetched')::integer, 0),
        api_calls = s.api_calls + coalesce((p_response ->> 'api_calls')::integer, 0),
        quarantined = s.quarantined + coalesce(jsonb_array_length(p_response -> 'quarantined'), 0),
        failed_batches = s.failed_batches
            + case when jsonb_array_length(p_response -> 'quarantined') > 0 then 1 else 0 end,
        updated_at = now()
    where s.sync_session_id = p_session and s.step = p_step and s.outcome is null
    returning s.page_id, s.mode into v_page_id, v_mode;
    if not found then
        raise exception 'sync session % is not open at step %', p_session, p_step
            using errcode = 'MPS01',
                  hint = 'Another run went on with it, or this response is loaded already.';
    end if;
    perform check_fence(v_page_id, p_fence);

    if jsonb_array_length(p_response -> 'conversations') > 0 then
        select coalesce(count(*) filter (where b.inserted), 0),
               -- More of a thread's history is not one more conversation that changed.
               coalesce(count(*) filter (where b.updated and not p_response ? 'gap_moved'), 0),
               coalesce(sum(b.events_created), 0)
        into v_inserted, v_updated, v_events
        from bulk_upsert_conversations_with_events(
            v_page_id, p_response -> 'conversations', p_fence) b;
    end if;
    v_unchanged := greatest(
        coalesce((p_response ->> 'fetched')::integer, 0) - v_inserted - v_updated, 0);
    update sync_state s
    set inserted = s.inserted + v_inserted, updated = s.updated + v_updated,
        unchanged = s.unchanged + v_unchanged, events_created = s.events_created + v_events
    where s.sync_session_id = p_session;

    insert into messenger_threads as t
        (page_id, thread_id, sender_id, conversation_id, updated_time, message_count,
         newest_message_id, answered_at, frontier_time, frontier_message_id, last_session_id)
    select v_page_id, n.thread_id, n.sender_id,
           (select c.id from messenger_conversations c
            where c.page_id = v_page_id and c.sender_id = n.sender_id),
           n.updated_time, n.message_count,
           n.newest_message_id, n.answered_at, n.frontier_time, n.frontier_message_id, p_session
    from jsonb_to_recordset(p_response -> 'threads') as n (
        thread_id text, sender_id text, updated_time timestamptz, message_count integer,
        newest_message_id text, answered_at timestamptz, frontier_time timestamptz,
        frontier_message_id text)
    on conflict (page_id, thread_id) do update
        -- An answer without participants does not make the thread nobody's.
        set sender_id = coalesce(excluded.sender_id, t.sender_id),
            conversation_id = coalesce(excluded.conversation_id, t.conversation_id),
            updated_time = excluded.updated_time, message_count = excluded.message_count,
            newest_message_id = excluded.newest_message_id, answered_at = excluded.answered_at,
            frontier_time = excluded.frontier_time,
            frontier_message_id = excluded.frontier_message_id,
            last_session_id = excluded.last_session_id;

    -- A full walk notes which threads it saw; what it never saw may be gone.
    if v_mode = 'full' then
        update messenger_threads t
        set last_session_id = p_session
        where t.page_id = v_page_id
          and t.thread_id = any (
              array(select jsonb_array_elements_text(p_response -> 'threads_seen')))
          and t.last_session_id is distinct from p_session;
    end if;

    insert into thread_gaps
        (page_id, thread_id, sync_session_id, resume_cursor, newest_time, until_time)
    select v_page_id, g.thread_id, p_session, g.resume_cursor, g.newest_time, g.until_time
    from jsonb_to_recordset(p_response -> 'gaps_opened') as g (
        thread_id text, resume_cursor text, newest_time timestamptz, until_time timestamptz);

    if (p_response -> 'gap_moved' ->> 'closed')::boolean then
        delete from thread_gaps where id = (p_response -> 'gap_moved' ->> 'id')::bigint;
    elsif p_response ? 'gap_moved' then
        update thread_gaps g
        set unreadable = coalesce((p_response -> 'gap_moved' ->> 'unreadable')::boolean, false),
            attempts = g.attempts + 1,
            resume_cursor = p_response -> 'gap_moved' ->> 'resume_cursor',
            newest_time = coalesce(
                (p_response -> 'gap_moved' ->> 'newest_time')::timestamptz, g.newest_time)
        where g.id = (p_response -> 'gap_moved' ->> 'id')::bigint;
    end if;

    insert into quarantined_records as q (page_id, source, identity, reason, record)
    select v_page_id, n.source, n.identity, n.reason, n.record
    from jsonb_to_recordset(p_response -> 'quarantined') as n (
        source text, identity text, reason text, record jsonb)
    on conflict (page_id, source, identity, reason) do update
        set record = excluded.record, last_seen_at = now(), seen_count = q.seen_count + 1,
            resolved_at = null;

    return query select v_inserted, v_updated, v_unchanged, v_events;
end
$$;

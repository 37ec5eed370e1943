-- Merges conversations and their events, all or nothing. Returns the outcome for each conversation.
-- Repeated calls, and calls in another order, end in the same rows.
--
-- p_conversations: [{sender_id, sender_name?, as_of, events: [{event_type, event_timestamp,
--   message_id?, discriminator?, as_of?, metadata}]}], one object per sender_id. as_of is the time
--   at which the source stated this; for an event it defaults to that of its conversation.
-- p_fence: the fencing token of the page's lease (MPL01 if it is lost); NULL: no lease is needed.
--
-- Locks conversations in order of sender_id, new ones first, then events. Calls with overlapping
-- batches wait for each other but do not deadlock, with one exception: if sources state one message
-- for two contacts, a call can fail with 40P01 and must be retried. Rows that other callers write
-- are locked in one statement and read in a later one.
create or replace function :own.merge_conversations(
    p_page_id text, p_conversations jsonb, p_fence bigint default null
) returns table (
    sender_id text, conversation_id :conversation_id_type, inserted boolean, updated boolean,
    version integer, events_created integer
)
language plpgsql
set search_path from current
-- A plan cached while the tables were empty must not scan them when they are full. (Planning each
-- call again would help too, but would also replan the foreign key's check of each event.)
set enable_seqscan = off
set jit = off  -- a plan without what is off looks too expensive not to be compiled
as $$
declare
    v_new :conversation_id_type[];
    v_senders text[];
    v_ids :conversation_id_type[];  -- of v_senders, in the same order
    v_created jsonb;
    v_any_stored boolean;
    v_moved record;
    v_edited text[];
    v_claimed jsonb;
    v_names :conversation_id_type[] := '{}';
    v_names_as_of timestamptz[] := '{}';
    v_changed :conversation_id_type[] := '{}';
    v_changed_as_of timestamptz[] := '{}';
begin
    if p_fence is not null then
        perform check_fence(p_page_id, p_fence);
    end if;
    p_conversations := find_thread_contacts(p_page_id, p_conversations);
    v_new := insert_conversations(p_page_id, p_conversations);
    select l.sender_ids, l.conversation_ids into v_senders, v_ids
        from lock_conversations(p_page_id, p_conversations) l;
    select e.created, e.any_stored into v_created, v_any_stored
        from insert_events(p_page_id, p_conversations, v_senders, v_ids) e;

    if cardinality(v_new) < cardinality(v_ids) then
        select n.ids, n.as_of into v_names, v_names_as_of
            from list_restated_names(p_conversations, v_senders, v_ids) n;
    end if;
    if v_any_stored then
        perform require_known_contacts(p_page_id, p_conversations);
        perform lock_conversations_of_messages(
            p_page_id, list_message_keys(p_conversations), v_ids);
        select coalesce(array_agg(m.conversation_id), '{}'), coalesce(array_agg(m.as_of), '{}')
            into v_changed, v_changed_as_of
            from merge_stored_events(p_page_id, p_conversations, v_names, v_names_as_of) m;
        perform merge_anonymous_events(p_page_id, p_conversations, v_senders, v_ids);
        -- All events of a new conversation may belong to another one already (a thread with
        -- several contacts): then the new conversation is empty.
        delete from messenger_conversations c
        where c.id = any (v_new) and not v_created ? c.id::text;
    elsif v_names <> '{}' then
        perform record_restatements(v_names, :name_ids(v_names), v_names_as_of);
    end if;

    for v_moved in
        select m.conversation_id, m.left_id, max(m.as_of) as as_of, count(*) as events
        from move_named_events(p_page_id, p_conversations, v_ids) m
        group by m.conversation_id, m.left_id
    loop
        v_changed := v_changed || v_moved.conversation_id;
        v_changed_as_of := v_changed_as_of || v_moved.as_of;
        v_created := move_created(
            v_created, v_moved.left_id, v_moved.conversation_id, v_moved.events);
    end loop;

    v_edited := find_edited_messages(p_page_id, p_conversations);
    if v_edited is not null then
        perform lock_conversations_of_messages(p_page_id, v_edited, v_ids);
        select v_changed || coalesce(array_agg(m.conversation_id), '{}'),
               v_changed_as_of || coalesce(array_agg(m.as_of), '{}')
            into v_changed, v_changed_as_of
            from merge_changes(p_page_id, v_edited) m;
    end if;

    v_claimed := claim_anonymous_messages(p_page_id, v_ids || v_changed);
    return query
    select r.sender_id, r.conversation_id, r.inserted, r.updated, r.version, r.events_created
    from refresh_conversations(
        p_conversations, v_senders, v_ids, v_new, v_created, v_claimed, v_changed,
        v_changed_as_of) r;
end
$$;

-- Moves events that name a stored message to that message's conversation, whoever they say sent it,
-- and deletes the conversations that are then empty. Of the messages that p_conversations names only.
-- Returns each of them: its new conversation, when it was stated, and the conversation that it left.
-- The caller holds the locks of the conversations in p_held.
--
-- An account can have ids that nobody registered: what it did under one of them belongs to the
-- contact whose message it names. The event can arrive before the message.
create or replace function :own.move_named_events(
    p_page_id text, p_conversations jsonb, p_held :conversation_id_type[]
) returns table (conversation_id :conversation_id_type, as_of timestamptz, left_id :conversation_id_type)
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
#variable_conflict use_column
declare
    v_keys text[];
    v_left :conversation_id_type[] := '{}';
    v_to :conversation_id_type[] := '{}';  -- where the events of v_left are, in the same order
    v_moved record;
begin
    -- Many pages have no such event, and most of those that have none in a wrong conversation.
    if not exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and event_kind(e.event_type) <> 'message')
    then
        return;
    end if;
    v_keys := array(
        select f.message_key
        from find_misplaced_events(p_page_id, list_message_keys(p_conversations)) f);
    if v_keys = '{}' then
        return;
    end if;
    perform lock_conversations_of_messages(p_page_id, v_keys, p_held);
    for v_moved in
        select array_agg(f.id) as ids, f.conversation_id, f.message_conversation_id
        from find_misplaced_events(p_page_id, v_keys) f
        group by f.conversation_id, f.message_conversation_id
    loop
        v_left := v_left || v_moved.conversation_id;
        v_to := v_to || v_moved.message_conversation_id;
        perform move_restatements(
            v_moved.ids, v_moved.conversation_id, v_moved.message_conversation_id);
    end loop;
    return query
    update contact_interaction_events e
    set conversation_id = f.message_conversation_id
    from find_misplaced_events(p_page_id, v_keys) f
    where e.id = f.id
    returning e.conversation_id, e.as_of, f.conversation_id;
    select array_agg(k.id), array_agg(k.survivor) into v_left, v_to
    from (select distinct on (l.id) l.id, l.survivor
          from unnest(v_left, v_to) as l (id, survivor)
          where not exists (select from contact_interaction_events e where e.conversation_id = l.id)
          order by l.id, l.survivor) k;
    if v_left is not null then
        perform follow_merged_rows('messenger_conversations', v_left::text[], v_to::text[]);
        delete from messenger_conversations c where c.id = any (v_left);
    end if;
end
$$;

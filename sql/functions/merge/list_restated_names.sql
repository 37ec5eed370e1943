-- Returns the conversations whose name a call states again, and when. p_sender_ids,
-- p_conversation_ids: as lock_conversations returns them.
create or replace function :own.list_restated_names(
    p_conversations jsonb, p_sender_ids text[], p_conversation_ids :conversation_id_type[]
) returns table (ids :conversation_id_type[], as_of timestamptz[])
language sql stable
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    select coalesce(array_agg(c.id), '{}'), coalesce(array_agg(i.as_of), '{}')
    from jsonb_to_recordset(p_conversations)
        as i (sender_id text, sender_name text, as_of timestamptz)
    join unnest(p_sender_ids, p_conversation_ids) as k (sender_id, conversation_id)
        using (sender_id)
    cross join lateral (
        select c.id from messenger_conversations c
        where c.id = k.conversation_id and c.sender_name = i.sender_name
          and c.sender_name_as_of < i.as_of
        limit 1  -- forces a lookup per conversation
    ) c
$$;

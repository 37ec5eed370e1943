-- Records the names that a call states again: see record_restatements. p_sender_ids,
-- p_conversation_ids: as lock_conversations returns them.
create or replace function :own.record_restated_names(
    p_conversations jsonb, p_sender_ids text[], p_conversation_ids uuid[]
) returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
declare
    v_row record;
begin
    select array_agg(c.id) as ids, array_agg(i.as_of) as as_of into v_row
    from jsonb_to_recordset(p_conversations)
        as i (sender_id text, sender_name text, as_of timestamptz)
    join unnest(p_sender_ids, p_conversation_ids) as k (sender_id, conversation_id)
        using (sender_id)
    cross join lateral (
        select c.id from messenger_conversations c
        where c.id = k.conversation_id and c.sender_name = i.sender_name
          and c.sender_name_as_of < i.as_of
        limit 1
    ) c;
    if v_row.ids is not null then
        perform record_restatements(v_row.ids, v_row.ids, v_row.as_of);
    end if;
end
$$;

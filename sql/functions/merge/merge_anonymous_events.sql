-- Merges events without a message id into rows that exist already, claimed messages included: see
-- merge_anonymous_content. Writes only changed rows. p_sender_ids, p_conversation_ids: as
-- lock_conversations returns them.
create or replace function :own.merge_anonymous_events(
    p_page_id text, p_conversations jsonb, p_sender_ids text[], p_conversation_ids :conversation_id_type[]
) returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
declare
    v_row record;
begin
    for v_row in
        select s.id, s.claimed, coalesce(e.metadata, '{}') as metadata
        from jsonb_to_recordset(p_conversations) as i (sender_id text, events jsonb)
        join unnest(p_sender_ids, p_conversation_ids) as k (sender_id, conversation_id)
            using (sender_id)
        cross join lateral jsonb_to_recordset(i.events) as e (
            event_type text, event_timestamp timestamptz, message_id text, discriminator text,
            metadata jsonb)
        cross join lateral (
            (select s.id, false as claimed, s.metadata from contact_interaction_events s
             where s.conversation_id = k.conversation_id and s.message_id is null
               and s.event_type = e.event_type and s.event_timestamp = e.event_timestamp
               and s.discriminator = coalesce(e.discriminator, '')
             limit 1)
            union all
            (select c.id, true, c.metadata from claimed_messages c
             where c.conversation_id = k.conversation_id and c.event_type = e.event_type
               and c.event_timestamp = e.event_timestamp
               and c.discriminator = coalesce(e.discriminator, '')
             limit 1)
        ) s
        where e.message_id is null
          and s.metadata - 'source' <> coalesce(e.metadata, '{}') - 'source'
    loop
        if v_row.claimed then
            update claimed_messages c set metadata = n.metadata
            from (select merge_anonymous_content(s.metadata, v_row.metadata) as metadata
                  from claimed_messages s where s.id = v_row.id) n
            where c.id = v_row.id and stable_content(c.metadata) <> stable_content(n.metadata);
        else
            update contact_interaction_events e set metadata = n.metadata
            from (select merge_anonymous_content(s.metadata, v_row.metadata) as metadata
                  from contact_interaction_events s where s.id = v_row.id) n
            where e.id = v_row.id and stable_content(e.metadata) <> stable_content(n.metadata);
        end if;
    end loop;
end
$$;

-- Inserts the events that do not exist yet. Existing events stay as they are (merge_stored_events
-- merges them), so that unchanged data costs no write.
--
-- p_sender_ids, p_conversation_ids: as lock_conversations returns them.
-- created: {conversation_id: [events, messages among them]}, counting inserted events.
-- any_stored: whether some event existed already.
create or replace function :own.insert_events(
    p_page_id text, p_conversations jsonb, p_sender_ids text[], p_conversation_ids :conversation_id_type[]
) returns table (created jsonb, any_stored boolean)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_prefix text := id_prefix();
begin
    return query
    with incoming as materialized (
        select k.conversation_id, e.event_type, e.event_timestamp, e.message_id,
               coalesce(e.discriminator, '') as discriminator,
               coalesce(e.as_of, i.as_of) as as_of,
               case when e.metadata ? 'unsent_at' then blanked(e.metadata)
                    -- What a merge would change is changed at once, so that a repetition changes
                    -- nothing. A list of one is as a merge leaves it.
                    when e.metadata ? 'attachments'
                     and (e.metadata #> '{attachments,0}' is null
                          or e.metadata #> '{attachments,1}' is not null)
                      or e.metadata ? 'webhook_attachments'
                    then e.metadata - array['attachments', 'webhook_attachments']
                         || join_attachments(e.metadata, '{}')
                    else coalesce(e.metadata, '{}') end as metadata,
               :new_event_id(v_prefix || lpad(to_hex(row_number() over ()), 8, '0')) as id
        from jsonb_to_recordset(p_conversations)
            as i (sender_id text, as_of timestamptz, events jsonb)
        join unnest(p_sender_ids, p_conversation_ids) as k (sender_id, conversation_id)
            using (sender_id)
        cross join lateral jsonb_to_recordset(i.events) as e (
            event_type text, event_timestamp timestamptz, message_id text, discriminator text,
            as_of timestamptz, metadata jsonb)
    ), messages_added as (
        insert into contact_interaction_events
            (id, conversation_id, page_id, event_type, event_timestamp, message_id, discriminator,
             as_of, metadata)
        overriding system value
        select id, conversation_id, p_page_id, event_type, event_timestamp, message_id,
               discriminator, as_of, metadata
        from incoming where message_id is not null
        -- Naming the index saves a lookup in every other one.
        on conflict (page_id, (message_key(message_id)), (event_kind(event_type)), discriminator)
            where message_id is not null do nothing
        returning conversation_id, event_type
    ), others_added as (
        insert into contact_interaction_events
            (id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
             metadata)
        overriding system value
        select id, conversation_id, p_page_id, event_type, event_timestamp, discriminator, as_of,
               metadata
        from incoming i where message_id is null
          -- A message that is stored with an id is not stored again without one.
          and not (event_kind(i.event_type) = 'message' and exists (
              select from claimed_messages c
              where c.conversation_id = i.conversation_id and c.event_type = i.event_type
                and c.event_timestamp = i.event_timestamp and c.discriminator = i.discriminator))
        on conflict (conversation_id, event_type, event_timestamp, discriminator)
            where message_id is null do nothing
        returning conversation_id, event_type
    ), counted as (
        select conversation_id, count(*) as events,
               count(*) filter (where event_kind(event_type) = 'message') as messages
        from (select * from messages_added union all select * from others_added) added
        group by conversation_id
    )
    select coalesce((select jsonb_object_agg(conversation_id, jsonb_build_array(events, messages))
                     from counted), '{}'),
           (select count(*) from incoming) > (select coalesce(sum(events), 0) from counted);
end
$$;

-- Updates the conversations of a call from their events: name, counts, last message, status. Writes
-- only changed rows. Returns the outcome for each conversation.
--
-- p_sender_ids, p_conversation_ids: as lock_conversations returns them.
-- p_new: the conversations that this call inserted.
-- p_created: see insert_events.
-- p_claimed: see claim_anonymous_messages.
-- p_changed, p_changed_as_of: conversations whose stored events changed, and when the source stated
--   the change; other contacts' conversations may be among them.
create or replace function :own.refresh_conversations(
    p_conversations jsonb, p_sender_ids text[], p_conversation_ids :conversation_id_type[], p_new :conversation_id_type[],
    p_created jsonb, p_claimed jsonb, p_changed :conversation_id_type[], p_changed_as_of timestamptz[]
) returns table (
    sender_id text, conversation_id :conversation_id_type, inserted boolean, updated boolean,
    version integer, events_created integer
)
language plpgsql
set search_path from current
-- The last message of a conversation is the first row of its timeline. A bitmap of the timeline has no
-- order: of a long conversation it would read and sort all events.
set enable_bitmapscan = off
as $$
#variable_conflict use_column
begin
    return query
    with stated as (
        select c.id, c.version,
               coalesce((p_created -> c.id::text ->> 0)::integer, 0) as events,
               c.message_count + coalesce((p_created -> c.id::text ->> 1)::integer, 0)
                   + coalesce((p_claimed ->> c.id::text)::integer, 0) as message_count,
               case when i.sender_name is null then c.sender_name
                    when c.sender_name_as_of is null then i.sender_name
                    when i.sender_name = c.sender_name or i.as_of < c.sender_name_as_of
                    then c.sender_name
                    when (i.as_of, i.sender_name collate "C")
                         > (greatest(c.sender_name_as_of, restated_as_of(c.id, :name_id(c.id), i.as_of)),
                            c.sender_name collate "C")
                    then i.sender_name else c.sender_name end as sender_name,
               i.sender_name as i_sender_name,
               i.as_of,
               -- Only a fact later than deleted_at revives the conversation.
               case when greatest(i.as_of, l.event_timestamp) > c.deleted_at
                    then 'active' else c.conversation_status end as conversation_status,
               m.text as last_message,
               l.event_timestamp as last_message_time
        from (
            select k.conversation_id, i.sender_name, i.as_of
            from jsonb_to_recordset(p_conversations)
                as i (sender_id text, sender_name text, as_of timestamptz)
            join unnest(p_sender_ids, p_conversation_ids) as k (sender_id, conversation_id)
                using (sender_id)
            union all
            -- The last message of another contact's conversation may have changed with its events.
            select o.id, null, max(o.as_of)
            from unnest(p_changed, p_changed_as_of) as o (id, as_of)
            where o.id <> all (p_conversation_ids) group by o.id
        ) i
        join messenger_conversations c on c.id = i.conversation_id
        left join lateral (
            -- Two steps, so that the index is used whatever the statistics say: first the latest
            -- time, then the message among those of that time.
            select e.event_timestamp from contact_interaction_events e
            where e.conversation_id = c.id and event_kind(e.event_type) = 'message'
              and not e.metadata ? 'unsent_at'
            order by e.event_timestamp desc
            limit 1
        ) l on true
        left join lateral (
            select coalesce(e.metadata ->> 'text', '') as text
            from contact_interaction_events e
            where e.conversation_id = c.id and e.event_timestamp = l.event_timestamp
              and event_kind(e.event_type) = 'message' and not e.metadata ? 'unsent_at'
            order by message_key(e.message_id) desc, e.event_type collate "C" desc,
                     e.discriminator desc
            limit 1
        ) m on true
    ), changed as (
        update messenger_conversations c
        set sender_name = s.sender_name,
            sender_name_as_of = case when s.sender_name is distinct from c.sender_name
                                     then s.as_of
                                     when s.sender_name = s.i_sender_name
                                     then greatest(s.as_of, c.sender_name_as_of)
                                     else c.sender_name_as_of end,
            last_message = s.last_message,
            last_message_time = s.last_message_time,
            message_count = s.message_count,
            conversation_status = s.conversation_status,
            deleted_at = case when s.conversation_status = 'deleted' then c.deleted_at end,
            version = c.version + case when c.id = any (p_new) then 0 else 1 end,
            updated_at = now()
        from stated s
        where s.id = c.id
          and (s.sender_name, s.last_message, s.last_message_time, s.message_count,
               s.conversation_status)
              is distinct from
              (c.sender_name, c.last_message, c.last_message_time, c.message_count,
               c.conversation_status)
        returning c.id, c.version
    )
    select c.sender_id, c.id, c.id = any (p_new), ch.id is not null and c.id <> all (p_new),
           coalesce(ch.version, s.version), s.events
    from stated s
    join messenger_conversations c on c.id = s.id
    left join changed ch on ch.id = s.id;
end
$$;

-- Performs one turn of merge_stored_events. Returns the conversations whose events changed, when
-- each change was stated, and whether another turn follows.
create or replace function :own.merge_stored_events_turn(
    p_page_id text, p_conversations jsonb, p_turn integer
) returns table (changed uuid[], changed_as_of timestamptz[], is_more boolean)
language sql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    with stated as materialized (
        select e.event_type, e.event_timestamp,
               message_key(e.message_id) as message_id,
               coalesce(e.discriminator, '') as discriminator,
               coalesce(e.as_of, i.as_of) as as_of, coalesce(e.metadata, '{}') as metadata,
               row_number() over (
                   partition by message_key(e.message_id),
                                event_kind(e.event_type), coalesce(e.discriminator, '')
               ) as turn
        from jsonb_to_recordset(p_conversations) as i (as_of timestamptz, events jsonb)
        cross join lateral jsonb_to_recordset(i.events) as e (
            event_type text, event_timestamp timestamptz, message_id text, discriminator text,
            as_of timestamptz, metadata jsonb)
        where e.message_id is not null
    ), paired as (
        select
            s.id, s.conversation_id, s.event_type, s.event_timestamp, s.as_of, s.metadata,
            i.as_of < s.as_of and not s.metadata ? 'unsent_at'
            and stable_content(content_of(i.metadata)) = stable_content(content_of(s.metadata))
                as earlier,
            i.event_type as i_event_type, i.event_timestamp as i_event_timestamp,
            i.as_of as i_as_of, i.metadata as i_metadata,
            (i.as_of, coalesce(i.metadata ->> 'text', '') collate "C",
             stable_content(content_of(i.metadata)) collate "C")
            > (s.as_of, coalesce(s.metadata ->> 'text', '') collate "C",
               stable_content(content_of(s.metadata)) collate "C") as later
        from stated i
        cross join lateral (
            select e.id, e.conversation_id, e.event_type, e.event_timestamp, e.as_of,
                   without_edit(e.metadata) as metadata
            from contact_interaction_events e
            where e.page_id = p_page_id
              and e.message_id is not null
              and message_key(e.message_id) = i.message_id
              and event_kind(e.event_type) = event_kind(i.event_type)
              and e.discriminator = i.discriminator
            limit 1  -- forces a lookup per event instead of a scan of the page's events
        ) s
        where i.turn = p_turn
    ), merged as (
        select p.*,
            greatest(p.event_type collate "C", p.i_event_type collate "C") as new_event_type,
            case
                when (date_trunc('second', p.i_event_timestamp) = p.i_event_timestamp)
                     = (date_trunc('second', p.event_timestamp) = p.event_timestamp)
                then least(p.i_event_timestamp, p.event_timestamp)
                when date_trunc('second', p.i_event_timestamp) = p.i_event_timestamp
                then p.event_timestamp
                else p.i_event_timestamp
            end as new_event_timestamp,
            merge_details(p.metadata - content_keys(), p.i_metadata - content_keys())
            || case
                when p.metadata ? 'unsent_at' or p.i_metadata ? 'unsent_at' then '{}'
                when p.later then content_of(p.i_metadata)
                else content_of(p.metadata)
            end as new_metadata
        from paired p
    ), written as (
        update contact_interaction_events e
        set event_type = m.new_event_type,
            event_timestamp = m.new_event_timestamp,
            metadata = m.new_metadata,
            as_of = case
                when m.earlier
                  or m.later and stable_content(m.new_metadata) <> stable_content(m.metadata)
                then m.i_as_of else m.as_of end
        from merged m
        where m.id = e.id
          and (m.earlier
               or m.event_type <> m.new_event_type
               or m.event_timestamp <> m.new_event_timestamp
               or stable_content(m.metadata) <> stable_content(m.new_metadata))
        returning e.conversation_id, m.i_as_of
    )
    select coalesce((select array_agg(conversation_id) from written), '{}'),
           coalesce((select array_agg(i_as_of) from written), '{}'),
           exists (select from stated where turn > p_turn)
$$;

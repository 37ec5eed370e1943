-- Performs one turn of merge_stored_events. Returns the conversations whose events changed and when
-- each change was stated; the events whose content was stated again, their conversations and when;
-- and whether events are stated once more. p_conversations: see merge_conversations; for `texts` see
-- combine_statements.
create or replace function :own.merge_stored_events_turn(
    p_page_id text, p_conversations jsonb, p_turn integer
) returns table (
    changed :conversation_id_type[], changed_as_of timestamptz[],
    restated :event_id_type[], restated_in :conversation_id_type[], restated_as_of timestamptz[], is_more boolean
)
language sql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    with stated as materialized (
        select e.event_type, e.event_timestamp,
               message_key(e.message_id) as message_id,
               coalesce(e.discriminator, '') as discriminator,
               coalesce(e.as_of, i.as_of) as as_of, coalesce(e.metadata, '{}') as metadata,
               e.texts,
               row_number() over (
                   partition by message_key(e.message_id),
                                event_kind(e.event_type), coalesce(e.discriminator, '')
               ) as turn
        from jsonb_to_recordset(p_conversations) as i (as_of timestamptz, events jsonb)
        cross join lateral jsonb_to_recordset(i.events) as e (
            event_type text, event_timestamp timestamptz, message_id text, discriminator text,
            as_of timestamptz, metadata jsonb, texts jsonb)
        where e.message_id is not null
    ), paired as (
        select
            s.id, s.conversation_id, s.event_type, s.event_timestamp, s.as_of, s.metadata,
            coalesce(s.first_as_of, s.as_of) as first_as_of, i.message_id, i.texts,
            i.event_type as i_event_type, i.event_timestamp as i_event_timestamp,
            i.as_of as i_as_of, i.metadata as i_metadata,
            i.metadata ?| array['unsent_at', 'message_unsent']
            or s.metadata ?| array['unsent_at', 'message_unsent'] as unsent,
            -- Most statements repeat what is stored. Comparing it as it is costs least.
            case when i.metadata - array['source', 'message_id']
                      = s.metadata - array['source', 'message_id'] then true
                 else stable_content(content_of(i.metadata))
                      = stable_content(content_of(s.metadata)) end as same
        from stated i
        cross join lateral (
            select e.id, e.conversation_id, e.event_type, e.event_timestamp, e.as_of, e.first_as_of,
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
    ), ranked as materialized (
        select p.*,
            case
                when p.same or p.unsent or p.i_as_of < p.as_of then false
                else (p.i_as_of, coalesce(p.i_metadata ->> 'text', '') collate "C",
                      stable_content(content_of(p.i_metadata)) collate "C")
                     > (greatest(p.as_of, restated_as_of(p.conversation_id, p.id, p.i_as_of)),
                        coalesce(p.metadata ->> 'text', '') collate "C",
                        stable_content(content_of(p.metadata)) collate "C")
            end as later
        from paired p
    ), merged as materialized (
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
            case
                when p.unsent then blanked(merge_details(
                    p.metadata - content_keys(), p.i_metadata - content_keys()))
                else merge_details(p.metadata - content_keys(), p.i_metadata - content_keys())
                    -- Of the same content the later has the fresher URLs.
                    || content_of(case when p.later or p.same and p.i_as_of > p.as_of
                                       then p.i_metadata else p.metadata end)
                    || merge_attachments(p.metadata, p.i_metadata, p.i_as_of > p.as_of)
            end as new_metadata
        from ranked p
        where case when p.i_metadata - array['source', 'message_id']
                        = p.metadata - array['source', 'message_id']
                   then p.i_as_of < p.first_as_of and not p.unsent
                     or p.event_type <> p.i_event_type
                     or p.event_timestamp <> p.i_event_timestamp
                   else true end
    ), written as (
        update contact_interaction_events e
        set event_type = m.new_event_type,
            event_timestamp = m.new_event_timestamp,
            metadata = m.new_metadata,
            as_of = case when m.later then m.i_as_of else m.as_of end,
            first_as_of = case when m.later then null
                               when m.same then nullif(least(m.first_as_of, m.i_as_of), m.as_of)
                               else nullif(m.first_as_of, m.as_of) end
        from merged m
        where m.id = e.id
          and (m.same and m.i_as_of < m.first_as_of and not m.unsent
               or m.event_type <> m.new_event_type
               or m.event_timestamp <> m.new_event_timestamp
               or case when m.metadata = m.new_metadata then false
                       else stable_content(m.metadata) <> stable_content(m.new_metadata) end)
        returning e.conversation_id, m.i_as_of
    ), again as (
        select r.id, r.conversation_id, r.i_as_of from ranked r
        -- What is stated of an unsent message changes nothing more, but shows that it is listed.
        where (r.same or r.unsent) and r.i_as_of > r.as_of
    ), remembered as (
        -- For claim_anonymous_messages: the texts that do not stay.
        insert into unsent_texts (page_id, message_key, digest)
        select distinct p_page_id, r.message_id, text_digest(r.message_id, t.text)
        from ranked r
        cross join lateral (
            select r.metadata ->> 'text'
            where not r.metadata ?| array['unsent_at', 'message_unsent']
            union
            select r.i_metadata ->> 'text'
            where r.texts is null and not r.i_metadata ?| array['unsent_at', 'message_unsent']
            union
            select s.text #>> '{}' from jsonb_array_elements(r.texts) as s (text)
        ) t (text)
        where event_kind(r.i_event_type) in ('message', 'edit')
          and (r.unsent or not r.texts <@ jsonb_build_array(r.metadata -> 'text')
               or r.metadata -> 'text' is distinct from r.i_metadata -> 'text')
        on conflict do nothing
    )
    select w.changed, w.changed_as_of, a.restated, a.restated_in, a.restated_as_of,
           exists (select from stated where turn > p_turn)
    from (select coalesce(array_agg(conversation_id), '{}') as changed,
                 coalesce(array_agg(i_as_of), '{}') as changed_as_of from written) w
    cross join (select coalesce(array_agg(id), '{}') as restated,
                       coalesce(array_agg(conversation_id), '{}') as restated_in,
                       coalesce(array_agg(i_as_of), '{}') as restated_as_of from again) a
$$;

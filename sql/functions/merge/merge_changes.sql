-- Applies edits and unsends to their messages, whichever arrived first. Writes only changed rows.
-- Returns the conversations whose messages changed, and when the latest change was stated. The
-- caller holds the locks of the messages' conversations.
--
-- Edits and unsends are events of their own, so their order of arrival does not matter. An edit
-- replaces the text alone, and only if it was stated no earlier than the content of the message was
-- first (first_as_of): an answer may show the text before an edit once more. That text stays as
-- stated_text. Of several edits the latest counts, then the one
-- with the greater num_edit. An unsend is final: the row stays, without its content, and so do the
-- message's edits.
create or replace function :own.merge_changes(p_page_id text, p_message_ids text[])
returns table (conversation_id :conversation_id_type, as_of timestamptz)
language sql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    with changes as materialized (
        select m.message_id, edit.text, edit.as_of as edited_at, unsend.event_timestamp as unsent_at
        from unnest(p_message_ids) as m (message_id)
        left join lateral (
            select e.metadata -> 'text' as text, coalesce(e.first_as_of, e.as_of) as as_of
            from contact_interaction_events e
            where e.page_id = p_page_id and e.message_id is not null and e.event_type = 'edit'
              and message_key(e.message_id) = m.message_id
              and e.event_type in ('edit', 'unsend') and e.metadata ? 'text'
            order by coalesce(e.first_as_of, e.as_of) desc, (e.metadata ->> 'num_edit')::numeric desc nulls last,
                     e.metadata ->> 'text' collate "C" desc
            limit 1
        ) edit on true
        left join lateral (
            select e.event_timestamp
            from contact_interaction_events e
            where e.page_id = p_page_id and e.message_id is not null and e.event_type = 'unsend'
              and message_key(e.message_id) = m.message_id
              and e.event_type in ('edit', 'unsend')
            limit 1
        ) unsend on true
    ), messages as materialized (
        select c.*, s.id, s.conversation_id, s.as_of, s.metadata, without_edit(s.metadata) as base,
               coalesce(to_jsonb(to_char(c.unsent_at at time zone 'UTC',
                                         'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
                        s.metadata -> 'unsent_at') as mark
        from changes c
        left join lateral (
            select e.id, e.conversation_id, coalesce(e.first_as_of, e.as_of) as as_of, e.metadata
            from contact_interaction_events e
            where e.page_id = p_page_id and e.message_id is not null
              and message_key(e.message_id) = c.message_id
              and event_kind(e.event_type) = 'message' and e.discriminator = ''
            limit 1
        ) s on true
    ), changed as (
        select m.id, m.message_id, greatest(m.edited_at, m.unsent_at) as stated_at,
               m.metadata as old,
               case when m.mark is not null
                    then blanked(m.metadata) || jsonb_build_object('unsent_at', m.mark)
                    when m.text is distinct from m.base -> 'text'
                     and m.edited_at >= m.as_of
                    then m.base || jsonb_build_object(
                        'text', m.text, 'stated_text', coalesce(m.base -> 'text', 'null'))
                    else m.base end as new
        from messages m
        where m.id is not null and (m.text is not null or m.mark is not null)
        union all
        select e.id, m.message_id, greatest(m.edited_at, m.unsent_at), e.metadata,
               blanked(e.metadata) || '{"message_unsent": true}'
        from messages m
        cross join lateral (
            select e.id, e.metadata from contact_interaction_events e
            where e.page_id = p_page_id and e.message_id is not null and e.event_type = 'edit'
              and message_key(e.message_id) = m.message_id
              and e.event_type in ('edit', 'unsend')
            limit 1000  -- forces a lookup per message
        ) e
        where m.mark is not null
    ), remembered as (
        -- For claim_anonymous_messages.
        insert into unsent_texts (page_id, message_key, digest)
        select p_page_id, m.message_id, text_digest(m.message_id, m.base ->> 'text')
        from messages m
        where m.mark is not null and m.id is not null and not m.metadata ? 'unsent_at'
        union
        select p_page_id, m.message_id, text_digest(m.message_id, c.old ->> 'text')
        from changed c
        join messages m on m.message_id = c.message_id
        where m.mark is not null and c.id is distinct from m.id and c.old ? 'text'
          and not c.old ? 'message_unsent'
        on conflict do nothing
    ), written as (
        update contact_interaction_events e
        set metadata = c.new
        from changed c
        where e.id = c.id and c.new <> c.old
        returning e.conversation_id, c.stated_at
    )
    select w.conversation_id, max(w.stated_at) from written w group by w.conversation_id
$$;

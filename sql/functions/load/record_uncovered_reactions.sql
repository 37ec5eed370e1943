-- Records the messages to which their contact has reacted, as this transaction's sync found, although
-- no webhook brought a reaction and the page is subscribed to them. Meta does not say when a person
-- reacted, so only messages count that are younger than the subscription. A webhook may still bring
-- it: see cover_messages.
create or replace function :own.record_uncovered_reactions(p_page_id text, p_conversations jsonb)
returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
begin
    -- Most answers have none.
    if not jsonb_path_exists(p_conversations, '$[*].events[*].metadata.reactions') then
        return;
    end if;
    insert into uncovered_messages (page_id, message_key, kind, sender_id, is_sent, event_timestamp)
    select p_page_id, message_key(s.message_id), 'reaction', i.sender_id,
           s.event_type = 'message_sent', s.event_timestamp
    from page_checks c
    cross join jsonb_to_recordset(p_conversations) as i (sender_id text, events jsonb)
    cross join lateral jsonb_to_recordset(i.events) as e (
        event_timestamp timestamptz, message_id text, metadata jsonb)
    cross join lateral (
        select x.message_id, x.event_type, x.event_timestamp
        from contact_interaction_events x
        where x.page_id = p_page_id and x.message_id is not null
          and message_key(x.message_id) = message_key(e.message_id)
          and event_kind(x.event_type) = 'message' and x.discriminator = ''
        limit 1
    ) s
    where c.page_id = p_page_id and c.subscribed
      and 'message_reactions' = any (c.subscribed_fields)
      and e.event_timestamp > greatest(c.subscribed_since, now() - interval '1 day')
      -- Meta sends no webhook when the page itself reacts.
      and jsonb_path_exists(e.metadata, '$.reactions.** ? (@.id == $contact)',
                            jsonb_build_object('contact', i.sender_id))
      and not exists (
          select from contact_interaction_events r
          where r.page_id = p_page_id and r.message_id is not null
            and message_key(r.message_id) = message_key(s.message_id)
            and event_kind(r.event_type) = 'reaction')
    on conflict do nothing;
end
$$;

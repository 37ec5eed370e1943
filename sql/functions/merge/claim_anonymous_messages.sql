-- Deletes messages without an id if the same conversation has one with an id and the same
-- direction, second and text. Such rows come from sources that provided no ids. Subtracts them from
-- the conversations' counts.
create or replace function :own.claim_anonymous_messages(p_page_id text, p_conversations uuid[])
returns void
language plpgsql
set search_path from current
as $$
begin
    -- Few pages have messages without an id.
    if not exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is null
          and event_kind(e.event_type) = 'message')
    then
        return;
    end if;
    with gone as (
        delete from contact_interaction_events e
        where e.page_id = p_page_id and e.conversation_id = any (p_conversations)
          and e.message_id is null and event_kind(e.event_type) = 'message'
          and exists (
              select from contact_interaction_events n
              where n.conversation_id = e.conversation_id and n.event_type = e.event_type
                and n.message_id is not null
                and n.event_timestamp >= date_trunc('second', e.event_timestamp)
                and n.event_timestamp
                    < date_trunc('second', e.event_timestamp) + interval '1 second'
                -- The text of an unsent message is unknown, so it matches any.
                and (n.metadata ? 'unsent_at'
                     or without_edit(n.metadata) ->> 'text'
                        is not distinct from e.metadata ->> 'text'))
        returning e.conversation_id
    )
    update messenger_conversations c
    set message_count = c.message_count - g.claimed
    from (select conversation_id, count(*) as claimed from gone group by conversation_id) g
    where c.id = g.conversation_id;
end
$$;

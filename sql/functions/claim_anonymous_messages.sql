-- Deletes messages without an id of which the same conversation has one with an id: same
-- direction, second and text. Such rows are of sources that did not tell ids. Returns of how many
-- each conversation has fewer.
create or replace function claim_anonymous_messages(p_page_id text, p_conversations uuid[])
returns table (conversation_id uuid, claimed integer)
language sql
set search_path from current
as $$
    with gone as (
        delete from contact_interaction_events e
        where e.page_id = p_page_id and e.conversation_id = any (p_conversations)
          and e.message_id is null and split_part(e.event_type, '_', 1) = 'message'
          and exists (
              select from contact_interaction_events n
              where n.conversation_id = e.conversation_id and n.event_type = e.event_type
                and n.message_id is not null
                and n.event_timestamp >= date_trunc('second', e.event_timestamp)
                and n.event_timestamp < date_trunc('second', e.event_timestamp) + interval '1 second'
                -- Of an unsent message nobody knows what it said.
                and (n.metadata ? 'unsent_at'
                     or without_edit(n.metadata) ->> 'text' is not distinct from e.metadata ->> 'text'))
        returning e.conversation_id
    )
    select g.conversation_id, count(*)::integer from gone g group by g.conversation_id
$$;

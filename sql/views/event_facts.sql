-- The columns of an event that the facts determine, whatever the order in which they arrived.
create or replace view :own.event_facts as
select e.page_id, c.sender_id, e.event_type, e.event_timestamp,
       message_key(e.message_id) as message_id,
       e.discriminator,
       stable_content(e.metadata - array['source', 'message_id', 'stated_text']) as content
from contact_interaction_events e
join messenger_conversations c on c.id = e.conversation_id;

-- What the facts determine of an event, whatever the order in which they came.
create or replace view event_facts with (security_invoker = true) as
select e.page_id, c.sender_id, e.event_type, e.event_timestamp,
       case when e.message_id like 'm\_mid.%' then substr(e.message_id, 3) else e.message_id end
           as message_id,
       e.discriminator,
       stable_content(e.metadata - array['source', 'message_id', 'stated_text']) as content
from contact_interaction_events e
join messenger_conversations c on c.id = e.conversation_id;

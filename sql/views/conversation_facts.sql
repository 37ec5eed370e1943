-- The columns of a conversation that the facts determine, whatever the order in which they arrived.
-- Two loads of the same facts are equal in this view.
create or replace view :own.conversation_facts as
select page_id, sender_id, sender_name, last_message, last_message_time, message_count,
       conversation_status
from messenger_conversations;

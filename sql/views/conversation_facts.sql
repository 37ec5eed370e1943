-- What the facts determine of a conversation, whatever the order in which they came: the
-- projection in which any two loads of the same facts are equal.
create or replace view :own.conversation_facts as
select page_id, sender_id, sender_name, last_message, last_message_time, message_count,
       conversation_status
from messenger_conversations;

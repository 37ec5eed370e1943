-- What the application built on its tables.
alter table contact_interaction_events
    add constraint contact_interaction_events_conversation_id_fkey
    foreign key (conversation_id) references messenger_conversations (id) on delete cascade;
create index idx_messenger_conversations_page on messenger_conversations (page_id);
create index idx_messenger_conversations_last_message
    on messenger_conversations (last_message_time desc);
create index idx_contact_interaction_events_conversation
    on contact_interaction_events (conversation_id, event_timestamp);

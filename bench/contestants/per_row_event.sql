insert into contact_interaction_events
    (conversation_id, page_id, event_type, event_timestamp, message_id, as_of, metadata)
values (%(conversation_id)s, %(page_id)s, %(event_type)s, %(event_timestamp)s, %(message_id)s,
        now(), %(metadata)s)
on conflict do nothing

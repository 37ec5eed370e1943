insert into messenger_conversations as c
    (page_id, sender_id, sender_name, last_message, last_message_time, message_count)
values (%(page_id)s, %(sender_id)s, %(sender_name)s, %(last_message)s, %(last_message_time)s,
        %(message_count)s)
on conflict (page_id, sender_id) do update
    set sender_name = excluded.sender_name, last_message = excluded.last_message,
        last_message_time = excluded.last_message_time,
        message_count = excluded.message_count, updated_at = now()
returning id

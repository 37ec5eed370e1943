-- Records the messages that this transaction's sync was the first to store, although the page was
-- subscribed to webhooks when they were written. A webhook may still bring them: see cover_messages.
create or replace function :own.record_uncovered_messages(p_page_id text, p_conversations jsonb)
returns void
language sql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
    insert into uncovered_messages (page_id, message_key, sender_id, is_sent, event_timestamp)
    select p_page_id, message_key(s.message_id), i.sender_id, s.event_type = 'message_sent',
           s.event_timestamp
    from page_checks c
    cross join jsonb_to_recordset(p_conversations) as i (sender_id text, events jsonb)
    cross join lateral jsonb_to_recordset(i.events) as e (
        event_timestamp timestamptz, message_id text)
    cross join lateral (
        select x.message_id, x.event_type, x.event_timestamp, x.created_at
        from contact_interaction_events x
        where x.page_id = p_page_id and message_key(x.message_id) = message_key(e.message_id)
          and event_kind(x.event_type) = 'message' and x.discriminator = ''
          and x.message_id is not null
        limit 1
    ) s
    where c.page_id = p_page_id and c.subscribed
      and e.event_timestamp > greatest(c.subscribed_since, now() - interval '1 day')
      and s.created_at = now()
      and (c.subscribed_fields is null or case when s.event_type = 'message_sent'
               then 'message_echoes' = any (c.subscribed_fields)
               else 'messages' = any (c.subscribed_fields) end)
    on conflict do nothing
$$;

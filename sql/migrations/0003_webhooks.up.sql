alter table webhook_inbox
    add column not_before timestamptz default now(),
    add column waiting_for text[],
    add column settled_at timestamptz;
comment on table webhook_inbox is 'Webhook deliveries, committed before Meta was answered.';
comment on column webhook_inbox.body is 'As Meta sent it, byte for byte.';
comment on column webhook_inbox.state is
    'pending; done: applied; ignored: nothing in it is of ours; failed: something is quarantined.';
comment on column webhook_inbox.outcomes is
    'What became of each item, where not all of them were simply applied.';
comment on column webhook_inbox.not_before is 'When it is to be applied (again); NULL while it waits for a page.';
comment on column webhook_inbox.waiting_for is
    'Pages that are not registered: it is applied (again) when one of them is.';
comment on column webhook_inbox.settled_at is 'When it was last applied, ignored or given up.';

drop index webhook_inbox_waiting;
create index webhook_inbox_due on webhook_inbox (not_before, id) where state = 'pending';
create index webhook_inbox_unregistered on webhook_inbox using gin (waiting_for)
    where waiting_for is not null;
create index webhook_inbox_settled on webhook_inbox (settled_at) where settled_at is not null;

-- What changes a message that may come after it.
create index if not exists contact_interaction_events_changes on contact_interaction_events (
    page_id,
    (case when message_id like 'm\_mid.%' then substr(message_id, 3) else message_id end)
) where event_type in ('edit', 'unsend') and message_id is not null;
create index if not exists contact_interaction_events_anonymous
    on contact_interaction_events (page_id, conversation_id)
    where message_id is null and split_part(event_type, '_', 1) = 'message';

alter table quarantined_records
    drop constraint quarantined_records_kind,
    add constraint quarantined_records_kind
        check (kind in ('thread', 'message', 'event', 'delivery', 'item'));
comment on column quarantined_records.kind is
    'thread and message: as Meta''s API sent it. delivery and item: as a webhook brought it, whole
    or a part. event: a row that PostgreSQL refused.';

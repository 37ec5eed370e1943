-- A thread that is requested alone, of a page whose list Meta refuses, can end its process.
alter table :own.messenger_threads add column attempts integer not null default 0;
comment on column :own.messenger_threads.attempts is
    'How often it was requested alone since it was last loaded or set aside.';

-- What a sweeping walk already tried to complete.
alter table :own.messenger_threads
    add column tried_stored integer,
    add column tried_counted integer;
comment on column :own.messenger_threads.tried_stored is
    'Messages stored when it was last read whole because Meta counted more, tried_counted. Not tried
    again until one of the two changes.';

-- Whether webhooks bring what syncs find.
alter table :own.page_checks add column subscribed_since timestamptz;
comment on column :own.page_checks.subscribed_since is
    'When a check first found the subscription, of those since it last found none.';
update :own.page_checks set subscribed_since = checked_at where subscribed;
alter table :own.webhook_hourly_counts
    add column received integer not null default 0,
    add column sent integer not null default 0;
comment on column :own.webhook_hourly_counts.received is 'Messages of contacts among the items.';
comment on column :own.webhook_hourly_counts.sent is 'Messages of the page among the items.';

create table :own.uncovered_messages (
    page_id text collate "C" not null,
    message_key text collate "C" not null,
    sender_id text collate "C" not null,
    is_sent boolean not null,
    event_timestamp timestamptz not null,
    found_at timestamptz not null default now(),
    covered_at timestamptz,
    constraint uncovered_messages_pkey primary key (page_id, message_key)
);
create index uncovered_messages_found on :own.uncovered_messages (found_at);
comment on table :own.uncovered_messages is
    'Recent messages that a sync stored before a webhook brought them, of pages that are subscribed.';
comment on column :own.uncovered_messages.sender_id is 'The contact of the conversation.';
comment on column :own.uncovered_messages.is_sent is 'Whether the page sent it.';
comment on column :own.uncovered_messages.covered_at is 'When a webhook brought it after all.';
insert into :own.owned_objects (in_schema, kind, name)
values ('own', 'table', 'uncovered_messages')
on conflict do nothing;
select :own.withhold_object('table', ':own.uncovered_messages'::regclass);

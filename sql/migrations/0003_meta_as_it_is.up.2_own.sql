-- Additions to our own schema. The functions of the release before work with them.

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

-- No second may have more calls than the setting allows: the last few count, not only the last one.
alter table :own.graph_api_budget add column recent_calls timestamptz[];
comment on column :own.graph_api_budget.recent_calls is
    'The places in the queue before last_call_at, oldest first.';

-- What Meta answers of a page: the size of a request is remembered when a larger one failed.
create table :own.request_sizes (
    page_id text collate "C" not null,
    request text not null
        constraint request_sizes_request check (request in ('list', 'probe', 'thread', 'history')),
    size_limit integer not null constraint request_sizes_limit check (size_limit > 0),
    nested_limit integer not null constraint request_sizes_nested check (nested_limit > 0),
    patience integer not null constraint request_sizes_patience check (patience > 0),
    updated_at timestamptz not null default now(),
    constraint request_sizes_pkey primary key (page_id, request)
);
comment on table :own.request_sizes is
    'Sizes of requests that Meta answered after it had refused larger ones. Without a row a page''s'
    ' requests have their usual size.';
comment on column :own.request_sizes.request is
    'list: threads with messages; probe: threads with one message; thread: one thread with'
    ' messages; history: messages of one thread.';
comment on column :own.request_sizes.size_limit is 'Records in a request.';
comment on column :own.request_sizes.nested_limit is 'Messages in each of its threads.';
comment on column :own.request_sizes.patience is
    'Answers of this size before a larger one is tried.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'request_sizes')
on conflict do nothing;
select :own.withhold_object('table', ':own.request_sizes'::regclass);

-- What Meta refuses pages, and what it refuses the app: the same error of several pages at once.
create table :own.page_refusals (
    page_id text collate "C" not null,
    error text not null,
    reason text not null,
    first_at timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    constraint page_refusals_pkey primary key (page_id, error)
);
comment on table :own.page_refusals is
    'Errors with which Meta refuses a page, and not only one of its threads, until it answers.';
comment on column :own.page_refusals.error is
    'Meta''s code and subcode, such as 190/460, or a name: terms, sending, unsupported.';
create index page_refusals_recent on :own.page_refusals (error, last_at);
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'page_refusals')
on conflict do nothing;
select :own.withhold_object('table', ':own.page_refusals'::regclass);

create table :own.app_refusals (
    app_id text collate "C" not null constraint app_refusals_pkey primary key,
    error text not null,
    reason text not null,
    pages integer not null,
    since timestamptz not null default clock_timestamp(),
    pauses integer not null default 1,
    answered_at timestamptz,
    answers integer not null default 0
);
comment on table :own.app_refusals is
    'Apps of which Meta refuses the calls: several pages met the same error at once.';
comment on column :own.app_refusals.pages is 'Pages that met the error.';
comment on column :own.app_refusals.pauses is 'Pauses since then; each is twice as long.';
comment on column :own.app_refusals.answered_at is
    'When Meta answered a call again, which ends it; NULL: it refuses them now.';
comment on column :own.app_refusals.answers is
    'How often an answer ended it. Each time twice as many pages have to meet an error for a day.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'app_refusals')
on conflict do nothing;
select :own.withhold_object('table', ':own.app_refusals'::regclass);

-- Further ids of an account, such as the app-scoped one of an Instagram account.
create table :own.account_ids (
    page_id text collate "C" not null,
    id text collate "C" not null
        constraint account_ids_named check (id <> ''),
    found_at timestamptz not null default now(),
    constraint account_ids_pkey primary key (page_id, id)
);
create index account_ids_id on :own.account_ids (id);
comment on table :own.account_ids is
    'Further ids of registered accounts. Whoever has one of them is the account, not a contact.';
comment on column :own.account_ids.page_id is 'The facebook_page_id of the account.';

-- Threads whose contact has no id, because the account was deleted: the thread is the contact.
create table :own.contactless_threads (
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sender_id text collate "C",
    constraint contactless_threads_pkey primary key (page_id, thread_id)
);
comment on table :own.contactless_threads is
    'Threads that Meta returned without an id of their contact.';
comment on column :own.contactless_threads.sender_id is
    'The contact''s id, if it became known: the messages are in that conversation. NULL: the thread is the contact.';

comment on column :own.webhook_inbox.body is
    'As Meta sent it, byte for byte, except the values of secrets in addresses.';

insert into :own.owned_objects (in_schema, kind, name) values
    ('own', 'table', 'account_ids'), ('own', 'table', 'contactless_threads')
on conflict do nothing;
select :own.withhold_object('table', ':own.account_ids'::regclass);
select :own.withhold_object('table', ':own.contactless_threads'::regclass);

-- Content that is stated again is not written again, yet a statement from between the two must not
-- replace it. So the later time is kept here, one row for all messages of a response.
create table :own.restatements (
    conversation_id :conversation_id_type not null
        constraint restatements_conversation_fkey
        references :data.messenger_conversations (id) on delete cascade,
    as_of timestamptz not null,
    ids :event_id_type[] not null,
    constraint restatements_pkey primary key (conversation_id, as_of)
);
comment on table :own.restatements is
    'When unchanged content was last stated, if that is later than the as_of of its row.';
comment on column :own.restatements.ids is
    'Events; the conversation''s own id stands for its sender_name (if ids are not uuids, -1 or "name").';

-- Messages without an id whose message with an id arrived, too: they are no events any more.
create table :own.claimed_messages (
    id :event_id_type not null,
    conversation_id :conversation_id_type not null
        constraint claimed_messages_conversation_fkey
        references :data.messenger_conversations (id) on delete cascade,
    page_id text collate "C" not null,
    event_type text not null,
    event_timestamp timestamptz not null,
    discriminator text collate "C" not null,
    as_of timestamptz not null,
    metadata jsonb,
    created_at timestamptz not null,
    claimed_by text collate "C" not null,
    constraint claimed_messages_pkey
        primary key (conversation_id, event_type, event_timestamp, discriminator)
);
create index claimed_messages_page on :own.claimed_messages (page_id);
comment on table :own.claimed_messages is
    'Messages without an id that are stored with one, so that they are not stored again.';
comment on column :own.claimed_messages.metadata is
    'As in the event; NULL after the message was unsent.';
comment on column :own.claimed_messages.claimed_by is 'The key of the message with an id.';

-- What recognizes the same message without an id, once the text is gone.
create table :own.unsent_texts (
    page_id text collate "C" not null,
    message_key text collate "C" not null,
    digest bytea not null,
    constraint unsent_texts_pkey primary key (page_id, message_key)
);
comment on column :own.unsent_texts.digest is 'sha256 of the message''s key and its text.';

insert into :own.owned_objects (in_schema, kind, name)
values ('own', 'table', 'restatements'), ('own', 'table', 'claimed_messages'),
       ('own', 'table', 'unsent_texts')
on conflict do nothing;
select :own.withhold_object('table', ':own.restatements'::regclass);
select :own.withhold_object('table', ':own.claimed_messages'::regclass);
select :own.withhold_object('table', ':own.unsent_texts'::regclass);

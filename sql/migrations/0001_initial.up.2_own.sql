-- Our own schema, which nobody else can look into. What a downgrade keeps is here already, hence
-- "if not exists" on those tables.
create table if not exists :own.page_tokens (
    page_id text collate "C" not null constraint page_tokens_pkey primary key,
    token_encrypted text not null,
    updated_at timestamptz not null default now()
);
comment on table :own.page_tokens is 'The pages'' access tokens, encrypted by MESSENGER_TOKEN_KEY.';

create table :own.messenger_threads (
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sender_id text collate "C",
    conversation_id :conversation_id_type
        constraint messenger_threads_conversation_fkey
        references :data.messenger_conversations (id) on delete set null,
    updated_time timestamptz not null,
    message_count integer,
    newest_message_id text collate "C",
    answered_at timestamptz not null,
    newest_loaded_at timestamptz,
    newest_loaded_message_id text collate "C",
    last_session_id uuid,
    gone_at timestamptz,
    constraint messenger_threads_pkey primary key (page_id, thread_id)
);
create index messenger_threads_conversation on :own.messenger_threads (conversation_id);
comment on table :own.messenger_threads is 'What walks know of each thread; webhooks do not move it.';
comment on column :own.messenger_threads.answered_at is
    'Date header of the response that these facts are from.';
comment on column :own.messenger_threads.newest_loaded_at is
    'Time of the newest message loaded; what is missing below it stands in thread_gaps.';
comment on column :own.messenger_threads.gone_at is
    'When Meta answered that the thread is gone, after a full walk that did not see it.';

create table :own.thread_gaps (
    id bigint generated always as identity
        constraint thread_gaps_pkey primary key,
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sync_session_id uuid not null
        constraint thread_gaps_session_fkey references :data.sync_state (sync_session_id),
    resume_cursor text,
    newest_time timestamptz not null,
    until_time timestamptz,
    dead_cursor_time timestamptz,
    attempts integer not null default 0,
    unreadable boolean not null default false,
    reason text,
    opened_at timestamptz not null default now(),
    constraint thread_gaps_thread_fkey foreign key (page_id, thread_id)
        references :own.messenger_threads (page_id, thread_id) on delete cascade
);
create index thread_gaps_thread on :own.thread_gaps (page_id, thread_id);
create index thread_gaps_session on :own.thread_gaps (sync_session_id, newest_time desc)
    where not unreadable;
comment on table :own.thread_gaps is 'Stretches of threads'' history that are still to be read.';
comment on column :own.thread_gaps.newest_time is
    'Messages at or before this time are still to be read…';
comment on column :own.thread_gaps.until_time is
    '…until one before this time (NULL: to the first message).';
comment on column :own.thread_gaps.reason is 'Why it is unreadable, in Meta''s words.';

create table :own.webhook_inbox (
    id bigint generated always as identity
        constraint webhook_inbox_pkey primary key,
    body bytea not null,
    received_at timestamptz not null default now(),
    state text not null default 'pending'
        constraint webhook_inbox_state check (state in ('pending', 'done', 'failed', 'ignored')),
    attempts integer not null default 0,
    not_before timestamptz default now(),
    waiting_for text[],
    settled_at timestamptz,
    outcomes jsonb,
    last_error text
);
create index webhook_inbox_due on :own.webhook_inbox (not_before, id) where state = 'pending';
create index webhook_inbox_unregistered on :own.webhook_inbox using gin (waiting_for)
    where waiting_for is not null;
create index webhook_inbox_settled on :own.webhook_inbox (settled_at) where settled_at is not null;
comment on table :own.webhook_inbox is 'Webhook deliveries, committed before Meta was answered.';
comment on column :own.webhook_inbox.body is 'As Meta sent it, byte for byte.';
comment on column :own.webhook_inbox.state is
    'pending; done: applied; ignored: nothing in it is of ours; failed: something is quarantined.';
comment on column :own.webhook_inbox.outcomes is
    'What became of each item, where not all of them were simply applied.';
comment on column :own.webhook_inbox.not_before is
    'When it is due; NULL while it waits for a page.';
comment on column :own.webhook_inbox.waiting_for is
    'Pages that are not registered: it is due once one of them is.';
comment on column :own.webhook_inbox.settled_at is 'When it was last applied, ignored or given up.';

create table if not exists :own.quarantined_records (
    id bigint generated always as identity
        constraint quarantined_records_pkey primary key,
    page_id text collate "C" not null,
    source text not null,
    kind text not null default 'message'
        constraint quarantined_records_kind
        check (kind in ('thread', 'message', 'event', 'delivery', 'item')),
    identity text collate "C" not null,
    thread_id text,
    reason text not null,
    record jsonb not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    seen_count integer not null default 1,
    resolved_at timestamptz,
    constraint quarantined_records_unique unique (page_id, source, identity, reason)
);
create index if not exists quarantined_records_last_seen on :own.quarantined_records (last_seen_at);
create index if not exists quarantined_records_open on :own.quarantined_records (page_id)
    where resolved_at is null;
comment on table :own.quarantined_records is
    'Records that could not be used, with the reason and in their raw form.';
comment on column :own.quarantined_records.kind is
    'thread and message: as Meta''s API sent it. delivery and item: as a webhook brought it, whole
    or a part. event: a row that PostgreSQL refused.';

create table :own.graph_api_budget (
    scope text collate "C" not null constraint graph_api_budget_pkey primary key,
    last_call_at timestamptz,
    strikes integer not null default 0,
    used_percent integer not null default 0,
    used_at timestamptz,
    blocked_until timestamptz,
    updated_at timestamptz not null default now()
);
comment on column :own.graph_api_budget.scope is 'app:ID, token:FINGERPRINT or page:ID.';
comment on column :own.graph_api_budget.last_call_at is
    'The place in the queue that was taken last: now, or soon.';
comment on column :own.graph_api_budget.strikes is
    'Consecutive blocks for which Meta gave no duration: each lasts twice as long.';
comment on column :own.graph_api_budget.used_percent is
    'Of Meta''s quota, as last reported at used_at.';

create table :own.sync_requests (
    id bigint generated always as identity
        constraint sync_requests_pkey primary key,
    request_id uuid not null,
    page_id text collate "C" not null,
    sync_session_id uuid not null
        constraint sync_requests_session_fkey
        references :data.sync_state (sync_session_id) on delete cascade,
    max_conversations integer
        constraint sync_requests_some check (max_conversations > 0),
    requested_by text,
    requested_at timestamptz not null default now(),
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    ended_at timestamptz,
    run_id text,
    error text
);
create unique index sync_requests_one_waiting on :own.sync_requests (page_id) where ended_at is null;
create index sync_requests_session on :own.sync_requests (sync_session_id);
comment on table :own.sync_requests is 'Syncs that somebody requested. A sensor makes each a run.';
comment on column :own.sync_requests.request_id is
    'Made up by the caller: a request repeated because the answer was lost is the same one.';
comment on column :own.sync_requests.ended_at is
    'When a run began with its session, or it turned out that none can (see error).';

create table :own.sync_totals (
    page_id text collate "C" not null
        constraint sync_totals_pkey primary key,
    sessions jsonb not null default '{}',
    runs jsonb not null default '{}',
    conversations jsonb not null default '{}',
    events_created bigint not null default 0,
    quarantined bigint not null default 0,
    api_calls bigint not null default 0,
    api_errors jsonb not null default '{}',
    waited_seconds double precision not null default 0
);
comment on table :own.sync_totals is 'Sums over all syncs of a page. Nothing here ever decreases.';

create table :own.webhook_totals (
    state text not null constraint webhook_totals_pkey primary key,
    deliveries bigint not null default 0
);
comment on table :own.webhook_totals is
    'Deliveries by the state that they came to; replayed ones count each time.';

create table :own.webhook_hourly_counts (
    page_id text collate "C" not null,
    hour timestamptz not null,
    deliveries integer not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    constraint webhook_hourly_counts_pkey primary key (page_id, hour)
);
create index webhook_hourly_counts_hour on :own.webhook_hourly_counts (hour);
comment on table :own.webhook_hourly_counts is
    'Items of webhooks by page and the hour in which they were received.';

create table :own.alerts (
    id bigint generated always as identity
        constraint alerts_pkey primary key,
    kind text not null,
    page_id text collate "C",
    severity text not null
        constraint alerts_severity check (severity in ('warning', 'error')),
    summary text not null,
    details jsonb not null default '{}',
    opened_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    gone_at timestamptz,
    closed_at timestamptz,
    sent_at timestamptz,
    closing_sent_at timestamptz,
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    notifier_paused_until timestamptz,
    last_error text
);
create unique index alerts_one_open on :own.alerts (kind, page_id) nulls not distinct
    where closed_at is null;
create index alerts_to_send on :own.alerts (not_before)
    where closing_sent_at is null and (sent_at is null or closed_at is not null);
create index alerts_sent on :own.alerts (kind, sent_at) where sent_at is not null;
create index alerts_closed on :own.alerts (closed_at) where closed_at is not null;
comment on table :own.alerts is
    'What is wrong, or was. A condition that comes back later is a new row.';
comment on column :own.alerts.page_id is 'NULL: it concerns no single page.';
comment on column :own.alerts.summary is 'What is wrong and what to do, for the person on call.';
comment on column :own.alerts.last_seen_at is 'When the condition was last found.';
comment on column :own.alerts.gone_at is
    'When the condition was first not found any more: if it stays so, the alert is closed.';
comment on column :own.alerts.sent_at is 'When MESSENGER_ALERT_URL took its message.';
comment on column :own.alerts.not_before is
    'When it is due to be sent; while a process sends it, when that process is given up.';
comment on column :own.alerts.notifier_paused_until is
    'Nothing at all is sent before: MESSENGER_ALERT_URL did not answer, or asked to wait.';

create table :own.page_checks (
    page_id text collate "C" not null
        constraint page_checks_pkey primary key,
    token_digest text not null,
    checked_at timestamptz not null default now(),
    token_valid boolean,
    token_expires_at timestamptz,
    data_access_expires_at timestamptz,
    scopes text[],
    subscribed boolean,
    subscribed_fields text[],
    ever_subscribed boolean not null default false,
    error text
);
comment on table :own.page_checks is
    'What Meta last reported of each page''s token and webhook subscription. NULL: not reported.';
comment on column :own.page_checks.token_digest is
    'Of the encrypted token that was checked: of another one this says nothing.';
comment on column :own.page_checks.token_expires_at is 'NULL: never, or not reported.';
comment on column :own.page_checks.error is 'What could not be checked last time, and why.';

create table :own.heartbeats (
    name text not null constraint heartbeats_pkey primary key,
    at timestamptz not null,
    since timestamptz not null
);
comment on table :own.heartbeats is
    'When each process last reported, and since when without a pause.';

-- On record, so that a missing one is noticed; and closed, whatever the default privileges are.
insert into :own.owned_objects (in_schema, kind, name)
select 'own', 'table', relname from pg_class
where relnamespace = ':own'::regnamespace and relkind = 'r'
on conflict do nothing;
select :own.withhold_object('table', oid) from pg_class
where relnamespace = ':own'::regnamespace and relkind in ('r', 'S');

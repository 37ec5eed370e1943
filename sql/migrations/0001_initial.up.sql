-- page_id is everywhere the id that the page bears in Meta's answers and webhooks.
-- What a downgrade keeps is here already, hence "if not exists" on those tables.
-- Ids of Meta's compare and sort as bytes (collate "C"): faster, and the same on every server.
select :own.require_own_tables(array[
    'facebook_pages', 'messenger_conversations', 'contact_interaction_events', 'sync_state',
    'sync_locks']);

create table if not exists :data.facebook_pages (
    id uuid not null default gen_random_uuid()
        constraint facebook_pages_pkey primary key,
    facebook_page_id text collate "C" not null
        constraint facebook_pages_page_unique unique
        constraint facebook_pages_page_named check (facebook_page_id <> ''),
    platform text not null default 'messenger'
        constraint facebook_pages_platform check (platform in ('messenger', 'instagram')),
    user_id text,
    name text,
    time_zone text,
    status text not null default 'active'
        constraint facebook_pages_status
        check (status in ('active', 'paused', 'needs_reauthorization', 'removed')),
    status_reason text,
    sync_interval interval not null default interval '15 minutes',
    next_sync_at timestamptz not null default now(),
    last_synced_at timestamptz,
    watermark timestamptz,
    failed_starts integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column :data.facebook_pages.last_synced_at is
    'When a sync of the page last completed. Set to NULL: the next sync is a full one.';
comment on column :data.facebook_pages.watermark is
    'Everything that Meta updated before this time has been read.';
comment on column :data.facebook_pages.failed_starts is
    'Consecutive runs that failed before they had a session, the one that began last included.';

create table if not exists :data.messenger_conversations (
    id uuid not null default gen_random_uuid()
        constraint messenger_conversations_pkey primary key,
    user_id text,
    page_id text collate "C" not null,
    sender_id text collate "C" not null
        constraint messenger_conversations_sender_named check (sender_id <> ''),
    sender_name text,
    sender_name_as_of timestamptz,
    last_message text,
    last_message_time timestamptz,
    message_count integer not null default 0,
    conversation_status text not null default 'active'
        constraint messenger_conversations_status check (conversation_status in ('active', 'deleted')),
    deleted_at timestamptz,
    version integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint messenger_conversations_contact_unique unique (page_id, sender_id)
);
create index if not exists messenger_conversations_newest
    on :data.messenger_conversations (page_id, last_message_time desc);
comment on column :data.messenger_conversations.message_count is 'Messages stored, unsent ones too.';
comment on column :data.messenger_conversations.version is 'Grows by one on each real change.';

create table if not exists :data.contact_interaction_events (
    id uuid not null default gen_random_uuid()
        constraint contact_interaction_events_pkey primary key,
    conversation_id uuid not null
        constraint contact_interaction_events_conversation_fkey
        references :data.messenger_conversations (id) on delete cascade,
    page_id text collate "C" not null,
    event_type text not null,
    event_timestamp timestamptz not null,
    message_id text collate "C",
    discriminator text collate "C" not null default '',
    as_of timestamptz not null,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now()
);
comment on column :data.contact_interaction_events.discriminator is
    'What distinguishes two events of one kind on one message; empty for a message.';
comment on column :data.contact_interaction_events.as_of is
    'When the source stated the stored content: a later statement replaces it.';

-- Identity: what the indexes say with these two never changes. Both are inlined, hence without a
-- SET clause, and call pg_catalog by name; everybody may execute them, for an index is kept up by
-- whoever writes the table.
create or replace function :own.message_key(p_message_id text)
returns text
language sql immutable parallel safe
return case when pg_catalog.starts_with(p_message_id, 'm_mid.')
            then pg_catalog.substr(p_message_id, 3) else p_message_id end;
grant execute on function :own.message_key(text) to public;
comment on function :own.message_key(text) is 'm_mid.x and mid.x are one message.';

create or replace function :own.event_kind(p_event_type text)
returns text
language sql immutable parallel safe
return pg_catalog.split_part(p_event_type, '_', 1);
grant execute on function :own.event_kind(text) to public;
comment on function :own.event_kind(text) is
    'message_received, message_sent and message are one kind: a message is one row whatever its direction or source.';

create unique index if not exists idx_unique_event_by_message on :data.contact_interaction_events (
    page_id, (:own.message_key(message_id)), (:own.event_kind(event_type)), discriminator
) where message_id is not null;
create unique index if not exists idx_unique_event_by_timestamp on :data.contact_interaction_events (
    conversation_id, event_type, event_timestamp, discriminator
) where message_id is null;
create index if not exists contact_interaction_events_timeline
    on :data.contact_interaction_events (conversation_id, event_timestamp desc);
-- What changes a message that may come after it.
create index if not exists contact_interaction_events_changes on :data.contact_interaction_events (
    page_id, (:own.message_key(message_id))
) where event_type in ('edit', 'unsend') and message_id is not null;
create index if not exists contact_interaction_events_anonymous
    on :data.contact_interaction_events (page_id, conversation_id)
    where message_id is null and :own.event_kind(event_type) = 'message';

create table :data.sync_state (
    sync_session_id uuid not null default gen_random_uuid()
        constraint sync_state_pkey primary key,
    page_id text collate "C" not null,
    user_id text,
    mode text not null constraint sync_state_mode check (mode in ('full', 'incremental')),
    run_id text,
    last_cursor text,
    cursor_fingerprint text,
    last_conversation_id text,
    last_updated_time timestamptz,
    step integer not null default 0,
    cutoff timestamptz,
    next_watermark timestamptz,
    listed_at timestamptz,
    dead_cursor_time timestamptz,
    list_refused boolean not null default false,
    total_synced integer not null default 0,
    inserted integer not null default 0,
    updated integer not null default 0,
    unchanged integer not null default 0,
    deleted integer not null default 0,
    events_created integer not null default 0,
    quarantined integer not null default 0,
    unidentified_records integer not null default 0,
    failed_batches integer not null default 0,
    unknown_fields jsonb not null default '{}',
    expected integer,
    api_calls integer not null default 0,
    worked_seconds double precision not null default 0,
    waited_seconds double precision not null default 0,
    outcome text
        constraint sync_state_outcome
        check (outcome in ('completed', 'superseded', 'truncated', 'failed')),
    is_complete boolean not null
        generated always as (coalesce(outcome = 'completed', false)) stored,
    truncated text,
    warning text,
    idle_attempts integer not null default 0,
    not_before timestamptz not null default now(),
    waiting_until timestamptz,
    waiting_for text,
    page_last_synced_at timestamptz,
    last_load jsonb,
    last_error text,
    changes bigint not null default 0,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ended_at timestamptz
);
create unique index sync_state_one_open on :data.sync_state (page_id, mode) where outcome is null;
create index sync_state_history on :data.sync_state (page_id, started_at desc);
create index sync_state_ended on :data.sync_state (page_id, mode, ended_at desc)
    where outcome in ('completed', 'truncated');
comment on column :data.sync_state.step is
    'Responses loaded; each load names the step that it makes.';
comment on column :data.sync_state.cutoff is
    'The walk ends after a response older than this; NULL: at the end of the list.';
comment on column :data.sync_state.listed_at is
    'When the list of threads was read to its end or cutoff.';
comment on column :data.sync_state.dead_cursor_time is
    'How deep the walk was when Meta refused its cursor and it began again from the top.';
comment on column :data.sync_state.list_refused is
    'Meta does not list the page''s threads: the known ones are asked for one by one.';
comment on column :data.sync_state.unidentified_records is
    'Records of the list without a thread''s id: nothing is marked deleted.';
comment on column :data.sync_state.deleted is 'Conversations that Meta no longer lists.';
comment on column :data.sync_state.unknown_fields is
    'Fields that Meta sent and nobody asked for, with how often.';
comment on column :data.sync_state.expected is
    'Threads that the page had when a full walk began; NULL if that is not known.';
comment on column :data.sync_state.worked_seconds is 'Of all its runs together, waits included.';
comment on column :data.sync_state.waited_seconds is 'Because of Meta''s limits, within runs.';
comment on column :data.sync_state.truncated is
    'Why the list could not be read to its end or cutoff.';
comment on column :data.sync_state.idle_attempts is
    'Continuations since the last response was loaded: each waits longer than the one before.';
comment on column :data.sync_state.waiting_until is
    'Until when its run waits for what waiting_for names; nothing once that has passed.';
comment on column :data.sync_state.page_last_synced_at is
    'last_synced_at of the page when the session began: shows whether somebody reset it since.';
comment on column :data.sync_state.last_load is
    'The last response that was loaded, and what it changed: for one repeated because its
    acknowledgement was lost.';
comment on column :data.sync_state.changes is 'Grows with everything that a watcher is shown.';
comment on column :data.sync_state.started_at is
    'When its first run began; before that, when it was requested.';

create table :data.sync_locks (
    page_id text collate "C" not null constraint sync_locks_pkey primary key,
    locked_by text not null,
    locked_at timestamptz not null,
    expires_at timestamptz not null,
    token bigint not null
);
comment on column :data.sync_locks.token is 'Fencing token: every acquisition takes a greater one.';
create sequence :own.sync_lock_token;

select :own.record_tables(array[
    'facebook_pages', 'messenger_conversations', 'contact_interaction_events', 'sync_state',
    'sync_locks']);

-- From here on in our own schema, which nobody else can look into.

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
    conversation_id uuid
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

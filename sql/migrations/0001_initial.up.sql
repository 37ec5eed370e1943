-- page_id is everywhere Facebook's page id.
-- What holds the owner's rows survives a downgrade, hence "if not exists".
-- Ids of Meta's compare and sort as bytes (collate "C"): faster, and the same on every server.

create table if not exists facebook_pages (
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
    access_token_encrypted text,
    status text not null default 'active'
        constraint facebook_pages_status
        check (status in ('active', 'paused', 'needs_reauthorization', 'removed')),
    status_reason text,
    sync_interval interval not null default interval '15 minutes',
    next_sync_at timestamptz not null default now(),
    last_synced_at timestamptz,
    watermark timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column facebook_pages.last_synced_at is
    'When a sync of the page last completed. Set to NULL: the next sync is a full one.';
comment on column facebook_pages.watermark is
    'Everything that Meta updated before this time has been read.';

create table if not exists messenger_conversations (
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
    on messenger_conversations (page_id, last_message_time desc);
comment on column messenger_conversations.message_count is 'Messages stored, unsent ones too.';
comment on column messenger_conversations.version is 'Grows by one on each real change.';

create table if not exists contact_interaction_events (
    id uuid not null default gen_random_uuid()
        constraint contact_interaction_events_pkey primary key,
    conversation_id uuid not null
        constraint contact_interaction_events_conversation_fkey
        references messenger_conversations (id) on delete cascade,
    page_id text collate "C" not null,
    event_type text not null,
    event_timestamp timestamptz not null,
    message_id text collate "C",
    discriminator text collate "C" not null default '',
    as_of timestamptz not null,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now()
);
comment on column contact_interaction_events.discriminator is
    'What tells two events of one kind on one message apart; empty for a message.';
comment on column contact_interaction_events.as_of is
    'When the source stated the stored content: a later statement replaces it.';

-- Identity. The kind is what stands before the first underscore: message_received and
-- message_sent are one kind, so a message is one row whatever its direction or source.
-- m_mid.x and mid.x are one id.
create unique index if not exists idx_unique_event_by_message on contact_interaction_events (
    page_id,
    (case when message_id like 'm\_mid.%' then substr(message_id, 3) else message_id end),
    (split_part(event_type, '_', 1)),
    discriminator
) where message_id is not null;
create unique index if not exists idx_unique_event_by_timestamp on contact_interaction_events (
    conversation_id, event_type, event_timestamp, discriminator
) where message_id is null;
create index if not exists contact_interaction_events_timeline
    on contact_interaction_events (conversation_id, event_timestamp desc);

create table sync_state (
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
    total_synced integer not null default 0,
    inserted integer not null default 0,
    updated integer not null default 0,
    unchanged integer not null default 0,
    events_created integer not null default 0,
    quarantined integer not null default 0,
    failed_batches integer not null default 0,
    api_calls integer not null default 0,
    outcome text
        constraint sync_state_outcome
        check (outcome in ('completed', 'superseded', 'truncated', 'failed')),
    is_complete boolean not null
        generated always as (coalesce(outcome = 'completed', false)) stored,
    attempts integer not null default 0,
    attempt_step integer not null default -1,
    stalls integer not null default 0,
    not_before timestamptz not null default now(),
    page_last_synced_at timestamptz,
    last_error text,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ended_at timestamptz
);
create unique index sync_state_one_open on sync_state (page_id, mode) where outcome is null;
create index sync_state_history on sync_state (page_id, started_at desc);
comment on column sync_state.stalls is 'Attempts on end that loaded nothing.';
comment on column sync_state.step is 'Responses loaded; each load names the step that it makes.';
comment on column sync_state.listed_at is 'When the list of threads was read to its end or cutoff.';
comment on column sync_state.page_last_synced_at is
    'last_synced_at of the page when the session began: tells whether somebody reset it since.';

create table messenger_threads (
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sender_id text collate "C",
    conversation_id uuid
        constraint messenger_threads_conversation_fkey
        references messenger_conversations (id) on delete set null,
    updated_time timestamptz not null,
    message_count integer,
    newest_message_id text collate "C",
    answered_at timestamptz not null,
    newest_loaded_at timestamptz,
    newest_loaded_message_id text collate "C",
    last_session_id uuid,
    constraint messenger_threads_pkey primary key (page_id, thread_id)
);
create index messenger_threads_conversation on messenger_threads (conversation_id);
comment on column messenger_threads.answered_at is 'Date header of the answer these facts are from.';
comment on column messenger_threads.newest_loaded_at is
    'Newest message reached; what is missing below it stands in thread_gaps.';

create table thread_gaps (
    id bigint generated always as identity
        constraint thread_gaps_pkey primary key,
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sync_session_id uuid not null
        constraint thread_gaps_session_fkey references sync_state (sync_session_id),
    resume_cursor text,
    newest_time timestamptz not null,
    until_time timestamptz,
    attempts integer not null default 0,
    unreadable boolean not null default false,
    opened_at timestamptz not null default now(),
    constraint thread_gaps_thread_fkey foreign key (page_id, thread_id)
        references messenger_threads (page_id, thread_id) on delete cascade
);
create index thread_gaps_thread on thread_gaps (page_id, thread_id);
create index thread_gaps_session on thread_gaps (sync_session_id, newest_time desc)
    where not unreadable;
comment on column thread_gaps.newest_time is 'Messages at or before this time are still to be read…';
comment on column thread_gaps.until_time is '…until one before this time (NULL: to the first message).';

create sequence sync_lock_token;
create table sync_locks (
    page_id text collate "C" not null constraint sync_locks_pkey primary key,
    locked_by text not null,
    locked_at timestamptz not null,
    expires_at timestamptz not null,
    token bigint not null
);
comment on column sync_locks.token is 'Fencing token: every acquisition takes a greater one.';

create table webhook_inbox (
    id bigint generated always as identity
        constraint webhook_inbox_pkey primary key,
    body bytea not null,
    received_at timestamptz not null default now(),
    state text not null default 'pending'
        constraint webhook_inbox_state check (state in ('pending', 'done', 'failed', 'ignored')),
    attempts integer not null default 0,
    outcomes jsonb,
    last_error text
);
create index webhook_inbox_waiting on webhook_inbox (id) where state = 'pending';

create table if not exists quarantined_records (
    id bigint generated always as identity
        constraint quarantined_records_pkey primary key,
    page_id text collate "C" not null,
    source text not null,
    identity text collate "C" not null,
    reason text not null,
    record jsonb not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    seen_count integer not null default 1,
    resolved_at timestamptz,
    constraint quarantined_records_unique unique (page_id, source, identity, reason)
);

create table graph_api_budget (
    scope text collate "C" not null constraint graph_api_budget_pkey primary key,
    next_call_at timestamptz not null,
    usage jsonb,
    blocked_until timestamptz,
    updated_at timestamptz not null default now()
);
comment on column graph_api_budget.scope is 'app:ID, token:FINGERPRINT or page:ID.';

-- Nobody but the owner reads these until a policy says so: on a hosted server the schema's
-- default grants may otherwise open them to anonymous web clients.
do $$
declare
    t text;
    r text;
begin
    foreach t in array array[
        'facebook_pages', 'messenger_conversations', 'contact_interaction_events',
        'messenger_threads', 'thread_gaps', 'sync_state', 'sync_locks', 'webhook_inbox',
        'quarantined_records', 'graph_api_budget'
    ] loop
        -- A table that kept its policies through a downgrade keeps them.
        continue when exists (select from pg_policy where polrelid = t::regclass);
        execute format('alter table %I enable row level security', t);
        execute format('create policy %I on %I to %I using (true) with check (true)',
                       t || '_pipeline', t, current_user);
        execute format('revoke all on table %I from public', t);
        for r in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
            execute format('revoke all on table %I from %I', t, r);
        end loop;
    end loop;
end
$$;

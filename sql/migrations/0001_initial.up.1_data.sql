-- The data schema: what people and the replaced application read.
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
    conversation_id :conversation_id_type not null
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
    user_id :page_user_type,
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

-- Gaps belong to the page: any of its sessions reads them. One that cannot be read is put off.
alter table :own.thread_gaps
    alter column sync_session_id drop not null,
    drop constraint thread_gaps_session_fkey,
    add constraint thread_gaps_session_fkey foreign key (sync_session_id)
        references :data.sync_state (sync_session_id) on delete set null,
    add column first_failed_at timestamptz,
    add column not_before timestamptz not null default now(),
    add column last_error text,
    add constraint thread_gaps_times check (
        newest_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and until_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and dead_cursor_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and not_before between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
-- It counted responses before.
update :own.thread_gaps set attempts = case when unreadable then 3 else 0 end;
create index thread_gaps_due on :own.thread_gaps (page_id, newest_time desc)
    where not unreadable or attempts < 3;
-- Of all gaps: a session that is deleted looks for those that name it.
drop index :own.thread_gaps_session;
create index thread_gaps_session on :own.thread_gaps (sync_session_id);
comment on table :own.thread_gaps is
    'Stretches of threads'' history that are still to be read, or that Meta refuses.';
comment on column :own.thread_gaps.sync_session_id is
    'The session that opened it; NULL once that one is deleted.';
comment on column :own.thread_gaps.attempts is
    'Attempts to read it that began since it last moved.';
comment on column :own.thread_gaps.not_before is 'When it is read next, at the earliest.';
comment on column :own.thread_gaps.last_error is
    'Why the last attempt failed; NULL if it moved since.';

create table :own.list_gaps (
    id bigint generated always as identity
        constraint list_gaps_pkey primary key,
    page_id text collate "C" not null
        constraint list_gaps_page_unique unique,
    sync_session_id uuid
        constraint list_gaps_session_fkey
        references :data.sync_state (sync_session_id) on delete set null,
    newest_time timestamptz,
    until_time timestamptz,
    resume_cursor text,
    cursor_fingerprint text,
    attempts integer not null default 0,
    first_failed_at timestamptz,
    not_before timestamptz not null default now(),
    last_error text,
    unreadable boolean not null default false,
    opened_at timestamptz not null default now(),
    constraint list_gaps_times check (
        newest_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and until_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and not_before between '0002-01-01 UTC' and '9999-01-01 UTC')
);
comment on table :own.list_gaps is
    'The part of a page''s list of threads that could not be read: at most one a page.';
comment on column :own.list_gaps.newest_time is
    'Threads updated at or before this time are still to be read (NULL: from the top)…';
comment on column :own.list_gaps.until_time is
    '…until one updated before this time (NULL: to the end of the list).';
comment on column :own.list_gaps.attempts is 'Attempts to read it that failed.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'list_gaps')
on conflict do nothing;
select :own.withhold_object('table', ':own.list_gaps'::regclass);
select :own.withhold_object('table', ':own.list_gaps_id_seq'::regclass);

-- Before a page is switched off, a second refusal a minute later has to confirm the first.
alter table :own.page_tokens
    add column refused_at timestamptz,
    add column refused_as text;
comment on column :own.page_tokens.refused_at is
    'When Meta first refused the page, unless it answered since.';
comment on column :own.page_tokens.refused_as is
    'What Meta refused: token or permission.';

alter table :own.messenger_threads
    add constraint messenger_threads_times check (
        updated_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and answered_at between '0002-01-01 UTC' and '9999-01-01 UTC'
        and newest_loaded_at between '0002-01-01 UTC' and '9999-01-01 UTC'
        and gone_at between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
-- What drains have taken and not settled. A row is one batch: it is committed before the batch is
-- parsed, and deleted with its settlement, so a row without a drain is of a process that was killed.
create table :own.webhook_claims (
    id bigint generated always as identity constraint webhook_claims_pkey primary key,
    deliveries bigint[] not null,
    claimed_at timestamptz not null default now()
);
comment on table :own.webhook_claims is
    'Batches of deliveries that drains have taken and not settled.';
comment on column :own.webhook_claims.deliveries is
    'A delivery that is in three rows, and in no drain, is set aside as failed.';

-- Drains that cannot work now.
create table :own.drain_failures (
    name text not null constraint drain_failures_pkey primary key,
    failures integer not null default 1,
    since timestamptz not null default now(),
    at timestamptz not null default now(),
    error text not null
);
comment on table :own.drain_failures is
    'The drains that failed last time. A drain that works deletes its row.';
comment on column :own.drain_failures.name is 'A receiver''s drain by its host, or Dagster''s runs.';
comment on column :own.drain_failures.failures is 'Failures in a row.';

-- A downgrade keeps the records, so these columns may exist.
alter table :own.quarantined_records
    add column if not exists discarded_by text,
    add column if not exists discard_reason text,
    add column if not exists retries integer not null default 0,
    add column if not exists retry_at timestamptz not null default now() + interval '10 minutes';
create index if not exists quarantined_records_due on :own.quarantined_records (retry_at)
    where resolved_at is null;
comment on column :own.quarantined_records.retry_at is
    'When it is tried again by itself, which a newer release may understand.';
comment on column :own.quarantined_records.discarded_by is
    'Who discarded it, at resolved_at; NULL: nobody, and resolved_at is when it was loaded.';

-- The function of alerts/ that found the condition: if that function fails, its alerts stay open.
alter table :own.alerts add column found_by text;

insert into :own.owned_objects (in_schema, kind, name)
select 'own', 'table', relname from pg_class
where relnamespace = ':own'::regnamespace and relkind = 'r'
on conflict do nothing;
select :own.withhold_object('table', oid) from pg_class
where relnamespace = ':own'::regnamespace
  and relname in ('webhook_claims', 'webhook_claims_id_seq', 'drain_failures');
-- Additions to our own schema. The functions of the release before work with them.

-- The trace of a lease that was taken from a run, for its alert.
create table :own.freed_leases (
    page_id text collate "C" not null constraint freed_leases_pkey primary key,
    run_id text not null,
    run_status text not null,
    run_ended_at timestamptz,
    freed_at timestamptz not null default now()
);
comment on table :own.freed_leases is
    'The last lease of each page that was freed because Dagster had ended its run.';
comment on column :own.freed_leases.run_status is
    'The run''s status in Dagster, or UNKNOWN: Dagster has no such run.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'freed_leases')
on conflict do nothing;
select :own.withhold_object('table', ':own.freed_leases'::regclass);

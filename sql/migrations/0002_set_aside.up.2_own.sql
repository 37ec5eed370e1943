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
create index thread_gaps_due on :own.thread_gaps (page_id, newest_time desc) where not unreadable;
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

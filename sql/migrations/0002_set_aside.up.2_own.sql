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

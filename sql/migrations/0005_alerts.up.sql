create table alerts (
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
create unique index alerts_one_open on alerts (kind, page_id) nulls not distinct
    where closed_at is null;
create index alerts_to_send on alerts (not_before)
    where closing_sent_at is null and (sent_at is null or closed_at is not null);
create index alerts_sent on alerts (kind, sent_at) where sent_at is not null;
create index alerts_closed on alerts (closed_at) where closed_at is not null;
comment on table alerts is
    'What is wrong, or was. A condition that comes back later is a new row.';
comment on column alerts.page_id is 'NULL: it concerns no single page.';
comment on column alerts.summary is 'What is wrong and what to do, for whoever is on call.';
comment on column alerts.last_seen_at is 'When the condition was last found.';
comment on column alerts.gone_at is
    'When it was first looked for in vain: if it stays so, the alert is closed.';
comment on column alerts.sent_at is 'When its message was taken by MESSENGER_ALERT_URL.';
comment on column alerts.not_before is
    'When it is to be sent (again); while somebody sends it, when that one is given up.';
comment on column alerts.notifier_paused_until is
    'Nothing at all is sent before: nobody answered, or the answer was to wait.';

create table page_checks (
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
comment on table page_checks is
    'What Meta last said of each page''s token and webhook subscription. NULL: not told.';
comment on column page_checks.token_digest is
    'Of the encrypted token that was asked about: of another one this says nothing.';
comment on column page_checks.token_expires_at is 'NULL: never, or not told.';
comment on column page_checks.error is 'What could not be asked in the last check, and why.';

create table webhook_hourly_counts (
    page_id text collate "C" not null,
    hour timestamptz not null,
    deliveries integer not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    constraint webhook_habits_pkey primary key (page_id, hour)
);
create index webhook_habits_hour on webhook_hourly_counts (hour);
comment on table webhook_hourly_counts is
    'How many items webhooks brought of a page in an hour, by when they were received.';

create table heartbeats (
    name text not null constraint heartbeats_pkey primary key,
    at timestamptz not null,
    since timestamptz not null
);
comment on table heartbeats is 'Who was last heard of when, and since when without a silence.';

-- The table survives a downgrade.
alter table facebook_pages add column if not exists failed_starts integer not null default 0;
comment on column facebook_pages.failed_starts is
    'Runs on end that failed before they had a session, with the one that began last.';

create index sync_state_ended on sync_state (page_id, mode, ended_at desc)
    where outcome in ('completed', 'truncated');
create index if not exists quarantined_records_last_seen on quarantined_records (last_seen_at);
create index if not exists quarantined_records_open on quarantined_records (page_id)
    where resolved_at is null;

do $$
declare
    t text;
    r text;
begin
    foreach t in array array['alerts', 'page_checks', 'webhook_hourly_counts', 'heartbeats'] loop
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

create table sync_requests (
    id bigint generated always as identity
        constraint sync_requests_pkey primary key,
    request_id uuid not null,
    page_id text collate "C" not null,
    sync_session_id uuid not null
        constraint sync_requests_session_fkey
        references sync_state (sync_session_id) on delete cascade,
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
create unique index sync_requests_one_waiting on sync_requests (page_id) where ended_at is null;
create index sync_requests_session on sync_requests (sync_session_id);
comment on column sync_requests.request_id is
    'Made up by whoever asks: one asked again because the answer was lost is the same.';
comment on table sync_requests is 'Syncs that somebody asked for. A sensor makes each a run.';
comment on column sync_requests.ended_at is
    'When a run began with its session, or it turned out that none can (error tells why).';

alter table sync_state
    add column changes bigint not null default 0,
    add column expected integer,
    add column worked_seconds double precision not null default 0,
    add column waited_seconds double precision not null default 0,
    add column waiting_until timestamptz,
    add column waiting_for text;
comment on column sync_state.changes is 'Grows with everything that a watcher is told.';
comment on column sync_state.expected is
    'Threads that the page had when a full walk began; NULL if that is not known.';
comment on column sync_state.worked_seconds is 'Of all its runs together, waits included.';
comment on column sync_state.waited_seconds is 'Because of Meta''s limits, within runs.';
comment on column sync_state.waiting_until is
    'Until when its run waits for what waiting_for names; nothing once that has passed.';

create table sync_totals (
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
comment on table sync_totals is
    'What the syncs of a page came to since the beginning. Nothing here ever gets less.';

create table webhook_totals (
    state text not null constraint webhook_totals_pkey primary key,
    deliveries bigint not null default 0
);
comment on table webhook_totals is
    'How many deliveries came to each state since the beginning; replayed ones each time.';

do $$
declare
    t text;
    r text;
begin
    foreach t in array array['sync_requests', 'sync_totals', 'webhook_totals'] loop
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

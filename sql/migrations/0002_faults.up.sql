alter table graph_api_budget rename column next_call_at to last_call_at;
alter table graph_api_budget
    alter column last_call_at drop not null,
    add column strikes integer not null default 0,
    add column used_percent integer not null default 0,
    add column used_at timestamptz,
    drop column usage;
comment on column graph_api_budget.last_call_at is
    'The place in the queue that was taken last: now, or soon.';
comment on column graph_api_budget.strikes is
    'Blocks on end for which Meta did not say how long: each lasts twice as long.';
comment on column graph_api_budget.used_percent is 'Of Meta''s quota, as last told at used_at.';

alter table sync_state
    add column dead_cursor_time timestamptz,
    add column truncated text,
    add column list_refused boolean not null default false,
    add column unidentified_records integer not null default 0,
    add column warning text,
    add column unknown_fields jsonb not null default '{}',
    add column deleted integer not null default 0,
    add column last_load jsonb;
comment on column sync_state.dead_cursor_time is
    'How deep the walk was when its cursor died: it began again from the top.';
comment on column sync_state.truncated is
    'Why the list could not be read to its end or cutoff, however often.';
comment on column sync_state.list_refused is
    'Meta does not list the page''s threads: those that are known are asked for one by one.';
comment on column sync_state.unidentified_records is
    'Records of the list that do not tell which thread they are: nothing is marked deleted.';
comment on column sync_state.unknown_fields is
    'Fields that Meta sent and nobody asked for, with how often.';
comment on column sync_state.deleted is 'Conversations that Meta no longer lists.';
comment on column sync_state.last_load is
    'The last response that was loaded, and what it changed: for one repeated because its
    acknowledgement was lost.';

alter table messenger_threads add column gone_at timestamptz;
comment on column messenger_threads.gone_at is
    'When Meta answered that the thread is gone, after a full walk that did not see it.';

alter table thread_gaps
    add column dead_cursor_time timestamptz,
    add column reason text;
comment on column thread_gaps.reason is 'Why it is unreadable, in Meta''s words.';

alter table quarantined_records
    add column if not exists kind text not null default 'message'
        constraint quarantined_records_kind check (kind in ('thread', 'message', 'event')),
    add column if not exists thread_id text;
comment on column quarantined_records.kind is
    'thread and message: as Meta sent it. event: a row that PostgreSQL refused.';

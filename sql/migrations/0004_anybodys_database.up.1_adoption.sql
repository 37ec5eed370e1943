-- What an upgrade records when it adopts the replaced application's tables: how far it is, what
-- restores them, and what became of each row that it changed. `db upgrade` creates these before the
-- other tables, hence "if not exists". On any other database they stay empty.
create table if not exists :own.adoption_steps (
    step text not null constraint adoption_steps_pkey primary key,
    position bigint not null default 0,
    rows bigint not null default 0,
    began_at timestamptz not null default now(),
    finished_at timestamptz
);
comment on table :own.adoption_steps is
    'How far an adoption is: a batch and its new position commit together.';
comment on column :own.adoption_steps.position is
    'Where the step goes on: a block of the table, or what the step counts.';
comment on column :own.adoption_steps.rows is 'Rows that the step changed.';

create table if not exists :own.adoption_changes (
    id bigint generated always as identity constraint adoption_changes_pkey primary key,
    statement text not null,
    undo text not null,
    changed_at timestamptz not null default now()
);
comment on table :own.adoption_changes is
    'What an adoption changed in the schema of the replaced application.';
comment on column :own.adoption_changes.undo is
    'What restores it. Run from the last row to the first.';

create table if not exists :own.merged_rows (
    table_name text not null,
    merged_id text collate "C" not null,
    survivor_id text collate "C",
    row_before jsonb not null,
    merged_at timestamptz not null default now()
);
create index if not exists merged_rows_merged on :own.merged_rows (table_name, merged_id);
comment on table :own.merged_rows is 'What an adoption merged into what.';
comment on column :own.merged_rows.merged_id is
    'The id of the row that is gone; of a table of the owner''s without an id: all of its columns.';
comment on column :own.merged_rows.survivor_id is
    'The row that stands for both. Of a table of the owner''s: the id that the row would have
    referred to, which a unique rule allows once.';
comment on column :own.merged_rows.row_before is 'The merged row, whole.';

create table if not exists :own.adopted_values (
    table_name text not null,
    id text collate "C" not null,
    old jsonb not null,
    adopted jsonb not null,
    constraint adopted_values_pkey primary key (table_name, id)
);
comment on table :own.adopted_values is
    'Values of the replaced application''s columns that an adoption replaced, with what it wrote.';

create table if not exists :own.adopted_pages (
    page_id text collate "C" not null constraint adopted_pages_pkey primary key,
    adopted_at timestamptz not null default now(),
    synced_at timestamptz
);
comment on table :own.adopted_pages is
    'Pages of an adopted registry. The first sync of each is a full one that restores.';
comment on column :own.adopted_pages.adopted_at is
    'When the adoption began: what is later the replaced application wrote, or a sync.';
comment on column :own.adopted_pages.synced_at is 'When that sync completed.';

create table if not exists :own.adopted_conversations (
    conversation_id :conversation_id_type not null
        constraint adopted_conversations_pkey primary key,
    version integer not null,
    has_events boolean not null
);
comment on table :own.adopted_conversations is
    'Adopted conversations whose last message is not the newest of their events: the replaced
    application did not store its event. It stays until a sync finds the message.';
comment on column :own.adopted_conversations.version is
    'Of the conversation when it was adopted: a later one is of a sync or a webhook.';

insert into :own.owned_objects (in_schema, kind, name)
select 'own', 'table', name
from unnest(array['adoption_steps', 'adoption_changes', 'merged_rows', 'adopted_values',
                  'adopted_pages', 'adopted_conversations']) as t (name)
on conflict do nothing;
select :own.withhold_object('table', oid) from pg_class
where relnamespace = ':own'::regnamespace
  and relname in ('adoption_steps', 'adoption_changes', 'adoption_changes_id_seq', 'merged_rows',
                  'adopted_values', 'adopted_pages', 'adopted_conversations');

-- When content was first stated, apart from when it was last stated.
alter table :data.contact_interaction_events add column first_as_of timestamptz;
comment on column :data.contact_interaction_events.as_of is
    'When the source stated the stored content. Later statements of the same content may be in
    restatements.';
comment on column :data.contact_interaction_events.first_as_of is
    'When the source first stated the stored content, if that was before as_of: an edit counts unless
    it is older.';

-- A message can have had several texts before it was unsent.
alter table :own.unsent_texts
    drop constraint unsent_texts_pkey,
    add constraint unsent_texts_pkey primary key (page_id, message_key, digest);
comment on table :own.unsent_texts is
    'Digests of texts that messages had before they changed or were unsent. They recognize the same
    message without an id once the text is gone.';
comment on column :own.unsent_texts.digest is 'See text_digest.';

-- A report of the delivery of several messages names the first of them, as it does from now on.
update :data.contact_interaction_events e
set message_id = e.metadata #>> '{mids,0}'
where e.message_id is null and e.event_type = 'delivery'
  and jsonb_typeof(e.metadata #> '{mids,0}') = 'string' and e.metadata #> '{mids,1}' is not null
  and length(e.metadata #>> '{mids,0}') between 1 and 1000
  -- One that is stored in two conversations stays as it is.
  and not exists (
      select from :data.contact_interaction_events o
      where o.page_id = e.page_id and o.id <> e.id and o.message_id is null
        and o.event_type = 'delivery' and o.event_timestamp = e.event_timestamp
        and o.discriminator = e.discriminator);

-- What an upgrade creates again where it is missing.
create table :own.owned_indexes (
    table_name text not null,
    name text not null,
    definition text not null,
    constraint owned_indexes_pkey primary key (table_name, name)
);
comment on table :own.owned_indexes is
    'Indexes and constraints of our tables, as the last upgrade left them.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'owned_indexes')
on conflict do nothing;
select :own.withhold_object('table', ':own.owned_indexes'::regclass);

-- Runs that fail are counted whoever started them.
alter table :data.sync_state add column failed_runs integer not null default 0;
comment on column :data.sync_state.failed_runs is
    'Runs that ended with an error since the last response was loaded.';

-- Many threads that Meta no longer lists at once are marked deleted only if a person says so.
create table :own.accepted_deletions (
    page_id text collate "C" not null constraint accepted_deletions_pkey primary key,
    accepted_at timestamptz not null default now()
);
comment on table :own.accepted_deletions is
    'Pages of which a full walk may mark any number of conversations deleted, until one completes.';
insert into :own.owned_objects (in_schema, kind, name)
values ('own', 'table', 'accepted_deletions')
on conflict do nothing;
select :own.withhold_object('table', ':own.accepted_deletions'::regclass);

-- A record is resolved when its message arrives in a usable form.
alter table :own.quarantined_records add column message_key text collate "C";
comment on column :own.quarantined_records.message_key is
    'The key of the message that it is, or whose event it is.';
update :own.quarantined_records q
set message_key = :own.message_key(case q.kind
    when 'message' then q.identity
    when 'event' then q.record #>> '{events,0,message_id}'
    when 'item' then q.record #>> '{item,message,mid}' end)
where q.resolved_at is null;
create index quarantined_records_message on :own.quarantined_records (page_id, message_key)
    where resolved_at is null and message_key is not null;
create index quarantined_records_arriving on :own.quarantined_records (page_id)
    where resolved_at is null and kind <> 'delivery';

-- Whether webhooks bring the reactions that syncs find.
alter table :own.uncovered_messages
    add column kind text not null default 'message'
        constraint uncovered_messages_kind check (kind in ('message', 'reaction')),
    drop constraint uncovered_messages_pkey,
    add constraint uncovered_messages_pkey primary key (page_id, message_key, kind);
comment on column :own.uncovered_messages.kind is
    'What no webhook brought: the message, or the reactions of its contact to it.';
alter table :own.webhook_hourly_counts add column reactions integer not null default 0;
comment on column :own.webhook_hourly_counts.reactions is 'Reactions among the items.';

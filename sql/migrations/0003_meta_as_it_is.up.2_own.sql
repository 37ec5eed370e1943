-- Additions to our own schema. The functions of the release before work with them.

-- Content that is stated again is not written again, yet a statement from between the two must not
-- replace it. So the later time is kept here, one row for all messages of a response.
create table :own.restatements (
    conversation_id uuid not null
        constraint restatements_conversation_fkey
        references :data.messenger_conversations (id) on delete cascade,
    as_of timestamptz not null,
    ids uuid[] not null,
    constraint restatements_pkey primary key (conversation_id, as_of)
);
comment on table :own.restatements is
    'When unchanged content was last stated, if that is later than the as_of of its row.';
comment on column :own.restatements.ids is
    'Events; the conversation''s own id stands for its sender_name.';

-- Messages without an id whose message with an id arrived, too: they are no events any more.
create table :own.claimed_messages (
    id uuid not null,
    conversation_id uuid not null
        constraint claimed_messages_conversation_fkey
        references :data.messenger_conversations (id) on delete cascade,
    page_id text collate "C" not null,
    event_type text not null,
    event_timestamp timestamptz not null,
    discriminator text collate "C" not null,
    as_of timestamptz not null,
    metadata jsonb,
    created_at timestamptz not null,
    claimed_by text collate "C" not null,
    constraint claimed_messages_pkey
        primary key (conversation_id, event_type, event_timestamp, discriminator)
);
create index claimed_messages_page on :own.claimed_messages (page_id);
comment on table :own.claimed_messages is
    'Messages without an id that are stored with one, so that they are not stored again.';
comment on column :own.claimed_messages.metadata is
    'As in the event; NULL after the message was unsent.';
comment on column :own.claimed_messages.claimed_by is 'The key of the message with an id.';

-- What recognizes the same message without an id, once the text is gone.
create table :own.unsent_texts (
    page_id text collate "C" not null,
    message_key text collate "C" not null,
    digest bytea not null,
    constraint unsent_texts_pkey primary key (page_id, message_key)
);
comment on column :own.unsent_texts.digest is 'sha256 of the message''s key and its text.';

insert into :own.owned_objects (in_schema, kind, name)
values ('own', 'table', 'restatements'), ('own', 'table', 'claimed_messages'),
       ('own', 'table', 'unsent_texts')
on conflict do nothing;
select :own.withhold_object('table', ':own.restatements'::regclass);
select :own.withhold_object('table', ':own.claimed_messages'::regclass);
select :own.withhold_object('table', ':own.unsent_texts'::regclass);

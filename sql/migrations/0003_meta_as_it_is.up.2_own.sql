-- Further ids of an account, such as the app-scoped one of an Instagram account.
create table :own.account_ids (
    page_id text collate "C" not null,
    id text collate "C" not null
        constraint account_ids_named check (id <> ''),
    found_at timestamptz not null default now(),
    constraint account_ids_pkey primary key (page_id, id)
);
create index account_ids_id on :own.account_ids (id);
comment on table :own.account_ids is
    'Further ids of registered accounts. Whoever has one of them is the account, not a contact.';
comment on column :own.account_ids.page_id is 'The facebook_page_id of the account.';

-- Threads whose contact has no id, because the account was deleted: the thread is the contact.
create table :own.contactless_threads (
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    sender_id text collate "C",
    constraint contactless_threads_pkey primary key (page_id, thread_id)
);
comment on table :own.contactless_threads is
    'Threads that Meta returned without an id of their contact.';
comment on column :own.contactless_threads.sender_id is
    'The contact''s id, if it became known: the messages are in that conversation. NULL: the thread is the contact.';

comment on column :own.webhook_inbox.body is
    'As Meta sent it, byte for byte, except the values of secrets in addresses.';

insert into :own.owned_objects (in_schema, kind, name) values
    ('own', 'table', 'account_ids'), ('own', 'table', 'contactless_threads')
on conflict do nothing;
select :own.withhold_object('table', ':own.account_ids'::regclass);
select :own.withhold_object('table', ':own.contactless_threads'::regclass);

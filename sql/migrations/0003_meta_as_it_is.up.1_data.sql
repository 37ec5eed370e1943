-- Additions to the data schema. The functions of the release before work with them.

-- The two kinds of full walk.
alter table :data.sync_state add column restores boolean not null default false;
comment on column :data.sync_state.restores is
    'A full walk that reads every message that Meta still gives, and so restores missing rows; a
    walk without it reads what changed, and sweeps what is gone.';

-- An inbox can be requested by another id than the one that it has in answers and webhooks: an
-- Instagram inbox by its Facebook page's.
alter table :data.facebook_pages
    add column graph_id text collate "C"
        constraint facebook_pages_graph_named check (graph_id <> ''),
    add column username text;
comment on column :data.facebook_pages.facebook_page_id is
    'The id that the account has in answers and webhooks: the page_id of every other table.';
comment on column :data.facebook_pages.graph_id is
    'The id that the Graph API is called with: of an Instagram account its Facebook page''s. NULL: facebook_page_id.';
comment on column :data.facebook_pages.username is 'The Instagram account''s username.';
create index facebook_pages_graph on :data.facebook_pages (graph_id) where graph_id is not null;

-- Events that name a message move to its conversation when it arrives later.
create index contact_interaction_events_named on :data.contact_interaction_events (
    page_id, (:own.message_key(message_id))
) where message_id is not null and :own.event_kind(event_type) <> 'message';

comment on column :data.contact_interaction_events.as_of is
    'When the source first stated the stored content; later statements of the same content are in
    restatements.';

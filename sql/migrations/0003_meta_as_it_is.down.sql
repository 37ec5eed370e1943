alter table :own.messenger_threads
    drop column attempts,
    drop column tried_stored,
    drop column tried_counted;
drop table :own.uncovered_messages;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name = 'uncovered_messages';
alter table :own.webhook_hourly_counts drop column received, drop column sent;
alter table :own.page_checks drop column subscribed_since;
alter table :data.sync_state drop column restores;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table'
  and name in ('request_sizes', 'page_refusals', 'app_refusals');
drop table :own.request_sizes, :own.page_refusals, :own.app_refusals;
-- The release before has no such pause: a page would wait for a reason that nobody finds.
delete from :own.graph_api_budget where scope like 'refused:%';
alter table :own.graph_api_budget drop column recent_calls;
-- The release before calls the Graph API with facebook_page_id alone.
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name in ('account_ids', 'contactless_threads');
drop table :own.account_ids, :own.contactless_threads;
comment on column :own.webhook_inbox.body is 'As Meta sent it, byte for byte.';
drop index :data.contact_interaction_events_named;
alter table :data.facebook_pages drop column graph_id, drop column username;
comment on column :data.contact_interaction_events.as_of is
    'When the source stated the stored content: a later statement replaces it.';
drop table :own.restatements, :own.claimed_messages, :own.unsent_texts;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name in ('restatements', 'claimed_messages', 'unsent_texts');

-- The release before calls the Graph API with facebook_page_id alone.
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name in ('account_ids', 'contactless_threads');
drop table :own.account_ids, :own.contactless_threads;
comment on column :own.webhook_inbox.body is 'As Meta sent it, byte for byte.';
drop index :data.contact_interaction_events_named;
alter table :data.facebook_pages drop column graph_id, drop column username;

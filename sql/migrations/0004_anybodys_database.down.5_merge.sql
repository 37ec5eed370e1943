-- The release before records all later statements apart.
insert into :own.restatements as r (conversation_id, as_of, ids)
select e.conversation_id, e.as_of, array_agg(e.id)
from :data.contact_interaction_events e where e.first_as_of is not null
group by e.conversation_id, e.as_of
on conflict (conversation_id, as_of) do update set ids = r.ids || excluded.ids;
update :data.contact_interaction_events set as_of = first_as_of where first_as_of is not null;
alter table :data.contact_interaction_events drop column first_as_of;
comment on column :data.contact_interaction_events.as_of is
    'When the source first stated the stored content; later statements of the same content are in
    restatements.';

delete from :own.unsent_texts u
where exists (
    select from :own.unsent_texts o
    where o.page_id = u.page_id and o.message_key = u.message_key and o.digest < u.digest);
alter table :own.unsent_texts
    drop constraint unsent_texts_pkey,
    add constraint unsent_texts_pkey primary key (page_id, message_key);
comment on table :own.unsent_texts is null;
comment on column :own.unsent_texts.digest is 'sha256 of the message''s key and its text.';

update :data.contact_interaction_events set message_id = null
where message_id is not null and event_type = 'delivery' and metadata #> '{mids,1}' is not null;

drop table :own.owned_indexes, :own.accepted_deletions;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name in ('owned_indexes', 'accepted_deletions');

alter table :data.sync_state drop column failed_runs;

drop index :own.quarantined_records_message;
drop index :own.quarantined_records_arriving;
alter table :own.quarantined_records drop column message_key;

alter table :own.webhook_hourly_counts drop column reactions;
delete from :own.uncovered_messages where kind <> 'message';
alter table :own.uncovered_messages
    drop constraint uncovered_messages_pkey,
    drop column kind,
    add constraint uncovered_messages_pkey primary key (page_id, message_key);

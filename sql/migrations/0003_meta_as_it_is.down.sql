comment on column :data.contact_interaction_events.as_of is
    'When the source stated the stored content: a later statement replaces it.';
drop table :own.restatements, :own.claimed_messages, :own.unsent_texts;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name in ('restatements', 'claimed_messages', 'unsent_texts');

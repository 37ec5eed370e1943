-- Additions to the data schema. The functions of the release before work with them.

comment on column :data.contact_interaction_events.as_of is
    'When the source first stated the stored content; later statements of the same content are in
    restatements.';

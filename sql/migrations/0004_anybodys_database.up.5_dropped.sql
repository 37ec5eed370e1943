-- What an upgrade makes anew after a rollback by hand: the replaced application's guide drops tables,
-- a column and indexes by their names.
create table :own.recorded_definitions (
    object text collate "C" not null,
    position integer not null,
    kind text not null
        constraint recorded_definitions_kind check (kind in (
            'table', 'column', 'constraint', 'index', 'comment', 'security', 'policy', 'grant',
            'reference')),
    statement text not null,
    constraint recorded_definitions_pkey primary key (object, position)
);
comment on table :own.recorded_definitions is
    'How the state of the syncs, and what protects events from being stored twice, was last defined:
    an upgrade makes it anew if somebody dropped it.';
comment on column :own.recorded_definitions.object is 'The table, column or index, without its schema.';
comment on column :own.recorded_definitions.kind is
    'reference: a foreign key between it and another table.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'recorded_definitions')
on conflict do nothing;
select :own.withhold_object('table', ':own.recorded_definitions'::regclass);

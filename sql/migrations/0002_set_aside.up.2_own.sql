-- Additions to our own schema. The functions of the release before work with them.

-- The trace of a lease that was taken from a run, for its alert.
create table :own.freed_leases (
    page_id text collate "C" not null constraint freed_leases_pkey primary key,
    run_id text not null,
    run_status text not null,
    run_ended_at timestamptz,
    freed_at timestamptz not null default now()
);
comment on table :own.freed_leases is
    'The last lease of each page that was freed because Dagster had ended its run.';
comment on column :own.freed_leases.run_status is
    'The run''s status in Dagster, or UNKNOWN: Dagster has no such run.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'freed_leases')
on conflict do nothing;
select :own.withhold_object('table', ':own.freed_leases'::regclass);

-- Additions to the data schema. The functions of the release before work with them.

-- A sync that a person cancelled: no continuation resumes it.
alter table :data.sync_state add column parked_at timestamptz;
comment on column :data.sync_state.parked_at is
    'When a person cancelled its run: no continuation resumes it.';

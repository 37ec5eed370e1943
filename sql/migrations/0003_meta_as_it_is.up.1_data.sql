-- Additions to the data schema. The functions of the release before work with them.

-- The two kinds of full walk.
alter table :data.sync_state add column restores boolean not null default false;
comment on column :data.sync_state.restores is
    'A full walk that reads every message that Meta still gives, and so restores missing rows; a
    walk without it reads what changed, and sweeps what is gone.';

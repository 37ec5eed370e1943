-- Roles that may do a part of what the owner may: see grant_role.
create table :own.role_grants (
    role_name text not null,
    purpose text not null
        constraint role_grants_purpose check (purpose in ('sync', 'receiver', 'reader')),
    constraint role_grants_pkey primary key (role_name, purpose)
);
comment on table :own.role_grants is
    'Roles with privileges on what is ours: each upgrade grants them what is new.';
insert into :own.owned_objects (in_schema, kind, name) values ('own', 'table', 'role_grants')
on conflict do nothing;
select :own.withhold_object('table', ':own.role_grants'::regclass);

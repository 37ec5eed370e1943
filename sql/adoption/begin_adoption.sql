-- Starts an adoption: from here on `db upgrade` goes on with it until it is finished.
create or replace function :own.begin_adoption()
returns void
language plpgsql
set search_path from current
as $$
begin
    insert into adoption_steps (step) values ('adoption');
    create table adoption_work (
        kind text not null,
        id text collate "C" not null,
        survivor_id text collate "C",
        detail text,
        constraint adoption_work_pkey primary key (kind, id)
    );
    comment on table adoption_work is 'What an adoption has found and still has to do.';
end
$$;

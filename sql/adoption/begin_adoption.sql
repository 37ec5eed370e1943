-- Starts an adoption: from here on `db upgrade` continues it until it is finished.
--
-- Also starts one again that was finished, after somebody dropped the column `version` or the unique
-- indexes of events: what the replaced application wrote twice meanwhile is merged, and the first
-- sync of each page is a full one again.
create or replace function :own.begin_adoption()
returns void
language plpgsql
set search_path from current
as $$
begin
    insert into adoption_steps (step) values ('adoption')
    on conflict (step) do update set finished_at = null;
    create table adoption_work (
        kind text not null,
        id text collate "C" not null,
        survivor_id text collate "C",
        detail text,
        constraint adoption_work_pkey primary key (kind, id)
    );
    comment on table adoption_work is 'What an adoption has found and still has to do.';
    delete from adoption_steps where step like 'columns of %';
    update adopted_pages set synced_at = null where synced_at is not null;
    if found then
        update facebook_pages set last_synced_at = null where last_synced_at is not null;
    end if;
end
$$;

-- Ends an adoption. What it recorded for a downgrade stays.
create or replace function :own.finish_adoption()
returns void
language plpgsql
set search_path from current
as $$
begin
    drop table adoption_work;
    -- A migration recorded all tables that it found.
    delete from owned_objects
    where in_schema = 'own' and kind = 'table'
      and name in ('adoption_work', 'replaced_sync_state', 'replaced_sync_locks');
    update adoption_steps set finished_at = clock_timestamp() where step = 'adoption';
end
$$;

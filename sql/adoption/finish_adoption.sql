-- Ends an adoption. What it recorded for a downgrade stays.
create or replace function :own.finish_adoption()
returns void
language plpgsql
set search_path from current
as $$
begin
    drop table adoption_work;
    update adoption_steps set finished_at = clock_timestamp() where step = 'adoption';
end
$$;

-- Counts an attempt to read a gap, before the work: an attempt that ends its process counts too.
create or replace function :own.begin_gap(p_id bigint)
returns void
language plpgsql
set search_path from current
as $$
begin
    -- A crash of the server can lose it only together with what was loaded since.
    perform set_config('synchronous_commit', 'off', true);
    update thread_gaps set attempts = attempts + 1 where id = p_id;
end
$$;

-- Takes back the attempts that begin_gap counted, for gaps that a run leaves in good order.
create or replace function :own.release_gaps(p_ids bigint[])
returns void
language sql
set search_path from current
as $$
    update thread_gaps set attempts = greatest(attempts - 1, 0) where id = any (p_ids)
$$;

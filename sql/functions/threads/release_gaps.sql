-- Takes back what begin_gap counted, for gaps that a run leaves in good order: they stay due.
create or replace function :own.release_gaps(p_ids bigint[])
returns void
language sql security definer
set search_path from current
as $$
    update thread_gaps
    set attempts = greatest(attempts - 1, 0), not_before = least(not_before, now())
    where id = any (p_ids)
$$;

-- Records that a drain works.
create or replace function :own.record_drain_success(p_name text)
returns void
language sql security definer
set search_path from current
as $$
    delete from drain_failures where name = p_name
$$;

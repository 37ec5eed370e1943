-- Records that a drain could not work. p_failures: how many failures in a row this is; NULL: one
-- more than before.
create or replace function :own.record_drain_failure(
    p_name text, p_error text, p_failures integer default null
) returns void
language sql security definer
set search_path from current
as $$
    insert into drain_failures as f (name, error, failures)
    values (p_name, p_error, coalesce(p_failures, 1))
    on conflict (name) do update
        set failures = coalesce(p_failures, f.failures + 1), at = now(), error = excluded.error
$$;

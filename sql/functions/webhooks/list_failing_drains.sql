-- Returns the drains that failed at least p_failures times in a row. A drain tries again every few
-- minutes at least, so one that has not failed for a quarter of an hour is not there any more.
create or replace function :own.list_failing_drains(p_failures integer default 3)
returns table (name text, failures integer, since timestamptz, error text)
language sql stable security definer
set search_path from current
as $$
    select f.name, f.failures, f.since, f.error
    from drain_failures f
    where f.failures >= p_failures and f.at > now() - interval '15 minutes'
    order by f.name
$$;

-- Returns the same local time p_days days earlier, in the page's time zone, with or without
-- daylight saving time. UTC for a time zone that is NULL or that PostgreSQL does not know.
create or replace function :own.days_earlier(p_at timestamptz, p_days integer, p_time_zone text)
returns timestamptz
language plpgsql stable
set search_path from current
as $$
begin
    if p_time_zone is null then
        return p_at - make_interval(hours => 24 * p_days);
    end if;
    return ((p_at at time zone p_time_zone) - make_interval(days => p_days))
        at time zone p_time_zone;
exception when invalid_parameter_value then
    return p_at - make_interval(hours => 24 * p_days);
end
$$;

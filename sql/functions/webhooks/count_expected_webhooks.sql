-- Returns the least number of webhook items that a page sent in periods comparable to the one from
-- p_last_at (the last item) to p_now; NULL if no comparable period is known.
--
-- p_since: the time of the page's first counted item.
-- p_enough: stop at the first period with fewer items than this; nearest periods come first.
--
-- Comparable periods have the same time of day, on the same weekday of up to three weeks before. If
-- less than a week is known, they are on the days before, weekdays with weekdays and weekends with
-- weekends at both ends, and only the last day of the silence is compared.
create or replace function :own.count_expected_webhooks(
    p_page_id text, p_since timestamptz, p_last_at timestamptz, p_now timestamptz,
    p_time_zone text, p_enough integer
) returns numeric
language plpgsql stable
set search_path from current
as $$
declare
    v_weeks boolean := p_since <= days_earlier(p_last_at, 7, p_time_zone);
    v_from timestamptz := case when v_weeks then p_last_at
                               else greatest(p_last_at, p_now - interval '1 day') end;
    v_days integer;
    v_begins timestamptz;
    v_ends timestamptz;
    v_items numeric;
    v_least numeric;
begin
    for v_days in select n from generate_series(1, 21) as n
        where case when v_weeks then n % 7 = 0 else n < 7
            and (extract(isodow from p_now at time zone 'UTC') >= 6)
                = (extract(isodow from p_now at time zone 'UTC' - make_interval(days => n)) >= 6)
            and (extract(isodow from v_from at time zone 'UTC') >= 6)
                = (extract(isodow from v_from at time zone 'UTC' - make_interval(days => n)) >= 6)
            end
    loop
        v_begins := days_earlier(v_from, v_days, p_time_zone);
        v_ends := days_earlier(p_now, v_days, p_time_zone);
        exit when v_begins < p_since;
        select coalesce(sum(h.deliveries * case
                -- In an hour that the period cuts, items are taken as evenly spread from the first
                -- to the last: a shop that opens at half past is not expected at a quarter past.
                when h.first_at >= v_begins and h.last_at <= v_ends then 1
                when h.last_at < v_begins or h.first_at > v_ends then 0
                else extract(epoch from least(h.last_at, v_ends) - greatest(h.first_at, v_begins))
                     / extract(epoch from h.last_at - h.first_at) end), 0)
            into v_items
            from webhook_hourly_counts h
            where h.page_id = p_page_id
              and h.hour > v_begins - interval '1 hour' and h.hour <= v_ends;
        v_least := least(v_least, v_items);
        exit when v_least < p_enough;
    end loop;
    return v_least;
end
$$;

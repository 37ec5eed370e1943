-- Returns the outcomes of the deliveries that were settled within the last p_span, at most the last
-- p_limit of them, and the seconds from receipt to settlement of those applied, replays excepted.
create or replace function :own.get_inbox_figures(p_span interval, p_limit bigint default 100000)
returns table (
    done bigint, ignored bigint, failed bigint,
    lag_median double precision, lag_max double precision
)
language sql stable security definer
set search_path from current
as $$
    select count(*) filter (where state = 'done'), count(*) filter (where state = 'ignored'),
           count(*) filter (where state = 'failed'),
           percentile_cont(0.5) within group (order by extract(epoch from settled_at - received_at))
               filter (where state = 'done' and not_before <= received_at),
           max(extract(epoch from settled_at - received_at))
               filter (where state = 'done' and not_before <= received_at)
    from (
        (select state, received_at, not_before, settled_at from webhook_inbox
         where settled_at > now() - p_span and state in ('done', 'ignored')
         order by settled_at desc limit p_limit)
        union all
        (select state, received_at, not_before, settled_at from webhook_inbox
         where settled_at > now() - p_span and state = 'failed'
         order by settled_at desc limit p_limit)
    ) i
$$;

-- What became of the deliveries that were settled within p_span until now, and the seconds that
-- the applied ones took from received to applied, replayed ones left out. Of more than p_most the
-- last ones.
create or replace function :own.get_inbox_figures(p_span interval, p_most bigint default null)
returns table (
    done bigint, ignored bigint, failed bigint,
    lag_median double precision, lag_max double precision
)
language sql stable
set search_path from current
as $$
    select count(*) filter (where state = 'done'), count(*) filter (where state = 'ignored'),
           count(*) filter (where state = 'failed'),
           percentile_cont(0.5) within group (order by extract(epoch from settled_at - received_at))
               filter (where state = 'done' and not_before <= received_at),
           max(extract(epoch from settled_at - received_at))
               filter (where state = 'done' and not_before <= received_at)
    from (select state, received_at, not_before, settled_at from webhook_inbox
          where settled_at > now() - p_span
          order by settled_at desc limit p_most) i
$$;

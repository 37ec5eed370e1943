-- Returns the totals of webhook deliveries by outcome since the beginning, and figures of the
-- inbox, as rows for list_metrics. No figure reads more than p_limit deliveries: a larger backlog is
-- reported as p_limit, and the lag is that of the last deliveries within five minutes.
create or replace function :own.get_webhook_figures(p_limit bigint)
returns table (metric text, labels text[], value double precision)
language sql stable
set search_path from current
as $$
    select 'messenger_webhook_deliveries_settled_total', array[k.state], coalesce(t.deliveries, 0)
    from (values ('done'), ('ignored'), ('failed')) as k (state)
    left join webhook_totals t on t.state = k.state
    union all
    select 'messenger_webhook_deliveries_put_off_total', '{}', coalesce(sum(t.deliveries), 0)
    from webhook_totals t where t.state = 'pending'
    union all
    select 'messenger_webhook_inbox_deliveries', array['due'], count(*)
    from (select from webhook_inbox
          where state = 'pending' and not_before <= now() limit p_limit) w
    union all
    select 'messenger_webhook_inbox_deliveries', array['backing_off'], count(*)
    from (select from webhook_inbox
          where state = 'pending' and not_before > now() limit p_limit) w
    union all
    select 'messenger_webhook_inbox_deliveries', array['unregistered_page'], count(*)
    from (select from webhook_inbox
          where state = 'pending' and not_before is null limit p_limit) w
    union all
    select 'messenger_webhook_inbox_oldest_wait_seconds', '{}',
           coalesce(greatest(0, extract(epoch from now() - min(not_before))), 0)
    from webhook_inbox where state = 'pending'
    union all
    select m.metric, '{}', m.value
    from get_inbox_figures(interval '5 minutes', p_limit) f
    cross join lateral (values
        ('messenger_webhook_apply_lag_median_seconds', f.lag_median),
        ('messenger_webhook_apply_lag_max_seconds', f.lag_max)
    ) as m (metric, value)
    where m.value is not null
$$;

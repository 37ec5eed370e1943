-- Claims the alerts for the next message, those that have waited longest first, and returns them.
-- No other caller gets them for p_seconds. The message is about one alert. Where the waiting alerts
-- of one kind and those sent in the last ten minutes are together more than p_limit, it is about all
-- waiting alerts of that kind and phase.
--
-- phase: opened; closed (the opening was sent); passed (it opened and closed before a message could
--   be sent). Alerts that closed more than a day ago are not sent.
create or replace function :own.claim_alert_message(
    p_seconds double precision default 300, p_limit integer default 10
) returns table (
    id bigint, phase text, kind text, page_id text, severity text, summary text,
    opened_at timestamptz, closed_at timestamptz, attempts integer
)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
begin
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.alerts'));
    return query
    with waiting as materialized (
        select a.id, a.kind, a.not_before, a.notifier_paused_until,
               case when a.closed_at is null then 'opened'
                    when a.sent_at is null then 'passed' else 'closed' end as phase
        from alerts a
        where a.closing_sent_at is null and (a.sent_at is null or a.closed_at is not null)
          and coalesce(a.closed_at, now()) > now() - interval '1 day'
    ), due as (
        select w.* from waiting w
        where w.not_before <= now()
          and not exists (select from waiting p where p.notifier_paused_until > now())
    ), first as (
        select d.*, (select count(*) from due o where o.kind = d.kind and o.phase = d.phase)
                    + (select count(*) from alerts s
                       where s.kind = d.kind and s.sent_at > now() - interval '10 minutes') > p_limit
                    as together
        from due d
        order by d.not_before, d.id limit 1
    )
    update alerts a
    set not_before = now() + make_interval(secs => p_seconds)
    from due d, first f
    where a.id = d.id and d.kind = f.kind and d.phase = f.phase and (d.id = f.id or f.together)
    returning a.id, d.phase, a.kind, a.page_id, a.severity, a.summary, a.opened_at, a.closed_at,
              a.attempts;
end
$$;

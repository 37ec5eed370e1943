-- Opens an alert for each condition that has none, refreshes those that have one, and closes those
-- whose condition is gone, at two looks that are a minute apart at least. What became an error is
-- sent once more. Nothing happens, and NULLs come back, while another looks.
create or replace function :own.update_alerts()
returns table (opened integer, closed integer, still_open integer)
language plpgsql
set search_path from current
as $$
begin
    -- Also held by who claims and settles messages: rows are locked in no one order.
    if not pg_try_advisory_xact_lock(hashtext('messenger_pipeline.alerts')) then
        return query select null::integer, null::integer, null::integer;
        return;
    end if;
    return query
    with found as materialized (
        select * from list_alert_conditions()
    ), fresh as (
        insert into alerts (kind, page_id, severity, summary, details)
        select f.kind, f.page_id, f.severity, f.summary, f.details from found f
        on conflict (kind, page_id) where closed_at is null do nothing
        returning 1
    ), seen as (
        update alerts a
        set severity = f.severity, summary = f.summary, details = f.details,
            last_seen_at = now(), gone_at = null,
            sent_at = case when f.severity = 'error' and a.severity = 'warning'
                then null else a.sent_at end
        from found f
        where a.closed_at is null and a.kind = f.kind
          -- What can be hashed: "is not distinct from" cannot.
          and coalesce(a.page_id, '') = coalesce(f.page_id, '')
        returning 1
    ), missed as (
        update alerts a
        set gone_at = coalesce(a.gone_at, now()),
            closed_at = case when a.gone_at <= now() - interval '1 minute' then now() end,
            -- What was never sent goes on waiting for its turn.
            not_before = case when a.gone_at <= now() - interval '1 minute' and a.sent_at is not null
                then now() else a.not_before end
        where a.closed_at is null
          and not exists (
              select from found f
              where f.kind = a.kind and coalesce(f.page_id, '') = coalesce(a.page_id, ''))
        returning a.closed_at
    )
    select (select count(*) from fresh)::integer,
           (select count(*) from missed m where m.closed_at is not null)::integer,
           ((select count(*) from fresh) + (select count(*) from seen)
            + (select count(*) from missed m where m.closed_at is null))::integer;
end
$$;

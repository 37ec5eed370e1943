-- Opens an alert for each condition that has none, refreshes the alerts whose condition persists,
-- and closes an alert once its condition is missing from two checks that are at least a minute
-- apart. An alert that rises from warning to error is sent again. If another caller is checking
-- already, does nothing and returns NULLs. An alert stays open while the function that finds its
-- condition fails.
create or replace function :own.update_alerts()
returns table (opened integer, closed integer, still_open integer)
language plpgsql security definer
set search_path from current
as $$
begin
    -- The functions that claim, settle and postpone messages take this lock too: none of them
    -- locks rows in a fixed order.
    if not pg_try_advisory_xact_lock(hashtext('messenger_pipeline.alerts')) then
        return query select null::integer, null::integer, null::integer;
        return;
    end if;
    return query
    with found as materialized (
        select * from list_alert_conditions()
    ), fresh as (
        insert into alerts (kind, page_id, severity, summary, details, found_by)
        select f.kind, f.page_id, f.severity, f.summary, f.details, f.found_by from found f
        on conflict (kind, page_id) where closed_at is null do nothing
        returning 1
    ), seen as (
        update alerts a
        set severity = f.severity, summary = f.summary, details = f.details,
            found_by = f.found_by, last_seen_at = now(), gone_at = null,
            sent_at = case when f.severity = 'error' and a.severity = 'warning'
                then null else a.sent_at end
        from found f
        where a.closed_at is null and a.kind = f.kind
          -- Unlike "is not distinct from" this allows a hash join.
          and coalesce(a.page_id, '') = coalesce(f.page_id, '')
        returning 1
    ), missed as (
        update alerts a
        set gone_at = coalesce(a.gone_at, now()),
            closed_at = case when a.gone_at <= now() - interval '1 minute' then now() end,
            -- An alert that was never sent keeps its place in the queue.
            not_before = case
                when a.gone_at <= now() - interval '1 minute' and a.sent_at is not null then now()
                else a.not_before end
        where a.closed_at is null
          and not exists (
              select from found f
              where f.kind = a.kind and coalesce(f.page_id, '') = coalesce(a.page_id, ''))
          and not exists (
              select from found f
              where f.kind = 'alert_check_failing' and f.details -> 'functions' ? a.found_by)
        returning a.closed_at
    )
    select (select count(*) from fresh)::integer,
           (select count(*) from missed m where m.closed_at is not null)::integer,
           ((select count(*) from fresh) + (select count(*) from seen)
            + (select count(*) from missed m where m.closed_at is null))::integer;
end
$$;

-- Returns everything that is wrong now, at most one row for each kind and page. Paused and removed
-- pages have no rows.
create or replace function :own.list_alert_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
as $$
    select distinct on (c.kind, c.page_id) c.*
    from (
        select * from find_page_conditions()
        union all select * from find_sync_conditions()
        union all select * from find_webhook_conditions()
        union all select * from find_quarantine_conditions()
        union all select * from find_token_conditions()
        union all
        select 'dagster_down', null, 'error',
               format('Dagster''s daemon sent its last heartbeat at %s: no scheduled sync runs.'
                      ' Start Dagster and check that its sensor `alerts` is on.', as_utc(h.at)),
               jsonb_build_object('last_heartbeat_at', h.at)
        from heartbeats h
        where h.name = 'dagster' and h.at < now() - interval '3 minutes'
    ) c
    order by c.kind, c.page_id, c.severity, c.summary
$$;

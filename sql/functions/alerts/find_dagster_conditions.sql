-- Returns a daemon of Dagster that sends no heartbeats any more.
create or replace function :own.find_dagster_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
as $$
    select 'dagster_down', null, 'error',
           format('Dagster''s daemon sent its last heartbeat at %s: no scheduled sync runs.'
                  ' Start Dagster and check that its sensor `alerts` is on.', as_utc(h.at)),
           jsonb_build_object('last_heartbeat_at', h.at)
    from heartbeats h
    where h.name = 'dagster' and h.at < now() - interval '3 minutes'
$$;

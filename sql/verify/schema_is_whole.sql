-- The indexes, functions and protections that everything relies on are there.
do $$
declare
    v_missing text;
begin
    select string_agg(name, ', ') into v_missing
    from unnest(array['idx_unique_event_by_message', 'idx_unique_event_by_timestamp']) as n (name)
    where not exists (
        select from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relname = n.name and c.relnamespace = current_schema()::regnamespace
          and i.indisunique and i.indisvalid);
    if v_missing is not null then
        raise exception 'unique indexes missing or invalid: %', v_missing using errcode = 'MPC01';
    end if;

    select string_agg(name, ', ') into v_missing
    from unnest(array['acquire_sync_lock', 'release_sync_lock', 'extend_sync_lock',
                      'cleanup_expired_locks', 'upsert_conversation_with_events',
                      'bulk_upsert_conversations_with_events']) as n (name)
    where not exists (
        select from pg_proc p
        where p.proname = n.name and p.pronamespace = current_schema()::regnamespace);
    if v_missing is not null then
        raise exception 'functions missing: %', v_missing using errcode = 'MPC01';
    end if;

    select string_agg(name, ', ') into v_missing
    from unnest(array['messenger_threads', 'thread_gaps', 'sync_state', 'sync_locks', 'sync_requests',
                      'sync_totals', 'webhook_totals',
                      'webhook_inbox', 'quarantined_records', 'graph_api_budget',
                      'alerts', 'page_checks', 'webhook_hourly_counts', 'heartbeats']) as n (name)
    where not coalesce((
        select c.relrowsecurity from pg_class c
        where c.relname = n.name and c.relnamespace = current_schema()::regnamespace), false);
    if v_missing is not null then
        raise exception 'tables missing or without row level security: %', v_missing
            using errcode = 'MPC01';
    end if;
end
$$;

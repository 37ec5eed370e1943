-- Returns the checks of the guides of the application that this replaces that concern objects: how many
-- of those that are needed are not there, how many are, and a sentence.
create or replace function :own.check_guide_objects()
returns table (name text, violations bigint, shown text, says text)
language sql stable
set search_path from current
as $$
    with found (name, good, expected, says) as (
        select 'version_column', count(*), 1, 'messenger_conversations.version is an integer with default 0'
        from information_schema.columns
        where table_schema = ':data'::regnamespace::text and table_name = 'messenger_conversations'
          and column_name = 'version' and data_type = 'integer' and column_default = '0'
        union all
        select 'unique_event_indexes', count(*), 2, 'idx_unique_event_by_message and idx_unique_event_by_timestamp are unique and valid'
        from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indrelid = ':data.contact_interaction_events'::regclass
          and c.relname like 'idx\_unique\_event%' and i.indisunique and i.indisvalid
        union all
        select 'sync_tables', count(*), 2, 'sync_state and sync_locks are there'
        from pg_class
        where relnamespace = ':data'::regnamespace and relkind in ('r', 'p')
          and relname in ('sync_state', 'sync_locks')
        union all
        select 'sync_functions', count(distinct proname), 6,
               'acquire_, release_ and extend_sync_lock, cleanup_expired_locks, upsert_ and bulk_upsert_conversations_with_events are there'
        from pg_proc
        where pronamespace = ':data'::regnamespace
          and proname in ('acquire_sync_lock', 'release_sync_lock', 'extend_sync_lock',
                          'cleanup_expired_locks', 'upsert_conversation_with_events',
                          'bulk_upsert_conversations_with_events')
        union all
        select 'sync_views', count(*), 2, 'active_syncs and sync_statistics are there'
        from pg_class
        where relnamespace = ':data'::regnamespace and relkind = 'v'
          and relname in ('active_syncs', 'sync_statistics')
    )
    select name, expected - good, format('%s of %s', good, expected), says from found
$$;

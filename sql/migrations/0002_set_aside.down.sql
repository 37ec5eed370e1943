alter table :own.messenger_threads drop constraint messenger_threads_times;
alter table :own.page_tokens drop column refused_at, drop column refused_as;
-- What the list still lacks is read by the next full sync.
update :data.facebook_pages p set last_synced_at = null
from :own.list_gaps g where g.page_id = p.facebook_page_id;
drop table :own.list_gaps;
delete from :own.owned_objects where in_schema = 'own' and name = 'list_gaps';
drop index :own.thread_gaps_due;
drop index :own.thread_gaps_session;
create index thread_gaps_session on :own.thread_gaps (sync_session_id, newest_time desc)
    where not unreadable;
-- A gap without a session can belong to none: the next full sync finds what is missing.
update :data.facebook_pages p set last_synced_at = null
from :own.thread_gaps g
where g.page_id = p.facebook_page_id and g.sync_session_id is null and not g.unreadable;
delete from :own.thread_gaps where sync_session_id is null;
alter table :own.thread_gaps
    drop constraint thread_gaps_times,
    drop column first_failed_at,
    drop column not_before,
    drop column last_error,
    alter column sync_session_id set not null,
    drop constraint thread_gaps_session_fkey,
    add constraint thread_gaps_session_fkey foreign key (sync_session_id)
        references :data.sync_state (sync_session_id);
alter table :data.sync_locks drop constraint sync_locks_times;
alter table :data.contact_interaction_events drop constraint contact_interaction_events_times;
alter table :data.messenger_conversations drop constraint messenger_conversations_times;
alter table :data.sync_state
    drop constraint sync_state_times,
    drop column list_depth,
    drop column list_restarts,
    drop column dead_cursor_depth;
alter table :data.facebook_pages
    drop constraint facebook_pages_times,
    drop constraint facebook_pages_sync_interval;
drop table :own.webhook_claims, :own.drain_failures;
alter table :own.quarantined_records drop column discarded_by, drop column discard_reason,
    drop column retries, drop column retry_at;
alter table :own.alerts drop column found_by;
delete from :own.owned_objects o
where o.kind = 'table' and not exists (
    select from pg_class c
    where c.relname = o.name and c.relnamespace = :own.find_schema(o.in_schema));
delete from :own.owned_objects where in_schema = 'own' and kind = 'table' and name = 'freed_leases';
drop table :own.freed_leases;
alter table :data.sync_state drop column parked_at;

-- The walk of the list: how deep it is, and how often its cursors died.
alter table :data.sync_state
    add column list_depth integer not null default 0,
    add column list_restarts integer not null default 0,
    add column dead_cursor_depth integer;
comment on column :data.sync_state.list_depth is
    'Threads read since the top of the list.';
comment on column :data.sync_state.list_restarts is
    'How often the list was read again from the top, because Meta refused a cursor.';
comment on column :data.sync_state.dead_cursor_depth is
    'The greatest list_depth at which Meta refused a cursor.';
comment on column :data.sync_state.dead_cursor_time is
    'The oldest update read before Meta refused a cursor, of all passes over the list.';

-- Times that no driver reads as a date: infinity, and years before 1 or after 9999. A row that has
-- one is repaired, because it would stop every sync of its page.
update :data.sync_state
set dead_cursor_time = null where not isfinite(dead_cursor_time);
update :data.facebook_pages set watermark = null, last_synced_at = null
where not (isfinite(watermark) and watermark between '0002-01-01 UTC' and '9999-01-01 UTC');
update :data.facebook_pages set last_synced_at = null
where not (isfinite(last_synced_at)
           and last_synced_at between '0002-01-01 UTC' and '9999-01-01 UTC');
update :data.facebook_pages set next_sync_at = now()
where not (isfinite(next_sync_at) and next_sync_at between '0002-01-01 UTC' and '9999-01-01 UTC');
update :data.facebook_pages set sync_interval = interval '15 minutes'
where sync_interval not between interval '1 second' and interval '1 year';
-- "Not valid": what is stored is not read through, so that the upgrade locks nothing for long.
alter table :data.facebook_pages
    add constraint facebook_pages_times check (
        watermark between '0002-01-01 UTC' and '9999-01-01 UTC'
        and last_synced_at between '0002-01-01 UTC' and '9999-01-01 UTC'
        and next_sync_at between '0002-01-01 UTC' and '9999-01-01 UTC') not valid,
    add constraint facebook_pages_sync_interval check (
        sync_interval between interval '1 second' and interval '1 year') not valid;
alter table :data.sync_state
    add constraint sync_state_times check (
        last_updated_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and cutoff between '0002-01-01 UTC' and '9999-01-01 UTC'
        and next_watermark between '0002-01-01 UTC' and '9999-01-01 UTC'
        and dead_cursor_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and not_before between '0002-01-01 UTC' and '9999-01-01 UTC'
        and waiting_until between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
alter table :data.messenger_conversations
    add constraint messenger_conversations_times check (
        last_message_time between '0002-01-01 UTC' and '9999-01-01 UTC'
        and sender_name_as_of between '0002-01-01 UTC' and '9999-01-01 UTC'
        and deleted_at between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
alter table :data.contact_interaction_events
    add constraint contact_interaction_events_times check (
        event_timestamp between '0002-01-01 UTC' and '9999-01-01 UTC'
        and as_of between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
alter table :data.sync_locks
    add constraint sync_locks_times check (
        locked_at between '0002-01-01 UTC' and '9999-01-01 UTC'
        and expires_at between '0002-01-01 UTC' and '9999-01-01 UTC') not valid;
-- Additions to the data schema. The functions of the release before work with them.

-- A sync that a person cancelled: no continuation resumes it.
alter table :data.sync_state add column parked_at timestamptz;
comment on column :data.sync_state.parked_at is
    'When a person cancelled its run: no continuation resumes it.';

drop index :own.quarantined_records_delivery;
drop index :own.quarantined_records_unresolved;
drop index :own.quarantined_records_open;
create index quarantined_records_open on :own.quarantined_records (page_id)
    where resolved_at is null;
drop index :own.webhook_inbox_refused;
drop index :own.webhook_inbox_failed;
drop index :own.webhook_inbox_settled;
create index webhook_inbox_settled on :own.webhook_inbox (settled_at) where settled_at is not null;
drop index :own.uncovered_messages_covered;
drop index :own.uncovered_messages_open;
drop index :own.claimed_messages_id;
drop index :data.sync_state_unknown_fields;
drop index :data.sync_state_by_end;
drop index :own.thread_gaps_failed;
drop index :own.thread_gaps_refused;
drop index :own.thread_gaps_session;
create index thread_gaps_session on :own.thread_gaps (sync_session_id);
drop index :own.thread_gaps_due;
create index thread_gaps_due on :own.thread_gaps (page_id, newest_time desc)
    where not unreadable or attempts < 3;
drop index :own.thread_gaps_own;

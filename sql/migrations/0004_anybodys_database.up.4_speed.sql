-- Indexes for great tables: what is read often reads an index in its order, and ends early.

-- The gaps that a run reads next: those that its session opened, and the page's others.
create index thread_gaps_own on :own.thread_gaps (sync_session_id, newest_time desc, id)
    where last_error is null and (not unreadable or attempts < 3);
drop index :own.thread_gaps_due;
create index thread_gaps_due on :own.thread_gaps (page_id, not_before, id)
    where not unreadable or attempts < 3;
create index thread_gaps_refused on :own.thread_gaps (page_id)
    where unreadable and attempts < 3;
-- Counts the open ones from the index alone; a session that is deleted looks for all that name it.
drop index :own.thread_gaps_session;
create index thread_gaps_session on :own.thread_gaps (sync_session_id, unreadable);
create index thread_gaps_failed on :own.thread_gaps (page_id, unreadable, first_failed_at)
    where last_error is not null;

-- An expression, because the plain column would also serve `order by ended_at desc` of a single
-- page, and read the sessions of all others to find its own.
create index sync_state_by_end on :data.sync_state ((ended_at at time zone 'UTC'))
    where outcome is not null;
create index sync_state_unknown_fields on :data.sync_state (page_id, started_at desc)
    where unknown_fields <> '{}';

create index claimed_messages_id on :own.claimed_messages (id);

create index uncovered_messages_open on :own.uncovered_messages (page_id, found_at desc)
    where covered_at is null;
create index uncovered_messages_covered on :own.uncovered_messages (page_id, sender_id)
    where covered_at is not null;

-- Each delivery is in one of the two: retention reads past no failed one.
drop index :own.webhook_inbox_settled;
create index webhook_inbox_settled on :own.webhook_inbox (settled_at)
    where state in ('done', 'ignored');
create index webhook_inbox_failed on :own.webhook_inbox (settled_at) where state = 'failed';
create index webhook_inbox_refused on :own.webhook_inbox (not_before)
    where state = 'pending' and attempts >= 5;

drop index :own.quarantined_records_open;
create index quarantined_records_open on :own.quarantined_records (page_id, id)
    where resolved_at is null;
create index quarantined_records_unresolved on :own.quarantined_records (id)
    where resolved_at is null;
create index quarantined_records_delivery on :own.quarantined_records ((record ->> 'delivery'))
    where source = 'webhook' and (resolved_at is null or discarded_by is not null);

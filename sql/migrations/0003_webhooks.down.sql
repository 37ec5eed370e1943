-- Deliveries stay, those that wait for a page or another try too.
alter table webhook_inbox
    drop column not_before,
    drop column waiting_for,
    drop column settled_at;
create index webhook_inbox_waiting on webhook_inbox (id) where state = 'pending';
drop index contact_interaction_events_changes;
drop index contact_interaction_events_anonymous;
-- The kinds stay allowed: the records are the owner's.

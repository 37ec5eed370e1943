drop index quarantined_records_open;
drop index quarantined_records_last_seen;
alter table facebook_pages drop column failed_starts;
drop index sync_state_ended;
drop table heartbeats;
drop table webhook_hourly_counts;
drop table page_checks;
drop table alerts;

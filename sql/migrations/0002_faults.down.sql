-- The quarantined records and what they are stay: they are the owner's. An open session that is
-- truncated has nothing left to walk.
update sync_state set outcome = 'truncated', ended_at = now()
where outcome is null and truncated is not null;
alter table thread_gaps drop column dead_cursor_time, drop column reason;
alter table messenger_threads drop column gone_at;
alter table sync_state
    drop column dead_cursor_time,
    drop column truncated,
    drop column list_refused,
    drop column unidentified_records,
    drop column warning,
    drop column unknown_fields,
    drop column deleted,
    drop column last_load;
update graph_api_budget set last_call_at = now() where last_call_at is null;
alter table graph_api_budget rename column last_call_at to next_call_at;
alter table graph_api_budget
    alter column next_call_at set not null,
    drop column strikes,
    drop column used_percent,
    drop column used_at,
    add column usage jsonb;

-- Returns the functions that a role may execute. They are security definer: the role has no privilege
-- on the tables behind them. What no role may execute is for the schema's owner.
--
-- p_purpose: sync: what runs of Dagster, sync, status and alerts call; receiver: what serve calls;
--   reader: none.
create or replace function :own.list_role_functions(p_purpose text)
returns text[]
language sql immutable
set search_path from current
as $$
    select case p_purpose
    when 'sync' then array[
        'accept_deletions', 'add_sync_effort', 'begin_gap', 'begin_thread', 'block_registration',
        'bulk_upsert_conversations_with_events', 'claim_alert_message', 'claim_due_records',
        'claim_sync_requests', 'claim_webhook_deliveries', 'complete_sync_session',
        'count_page_rows', 'count_waiting_deliveries', 'count_webhook_claim',
        'delete_ended_sessions', 'delete_old_alerts', 'delete_settled_deliveries',
        'extend_sync_lock', 'find_message_contacts', 'find_open_full_sync', 'find_pages',
        'find_registered_pages', 'free_lease', 'get_app_refusal', 'get_inbox_figures', 'get_lease', 'get_page',
        'get_sync_progress', 'get_sync_session', 'give_up_session_list', 'is_schema_usable',
        'list_alerts', 'list_due_gaps', 'list_due_list_gap', 'list_due_pages',
        'list_failing_drains', 'list_last_sessions', 'list_leases', 'list_missing_threads',
        'list_page_gaps', 'list_page_lags', 'list_pages', 'list_pages_for_full_sync',
        'list_pages_to_check', 'list_quarantine_rates', 'list_quarantined',
        'list_request_sizes', 'list_session_warnings', 'list_short_conversations',
        'list_stuck_leases', 'list_sync_sessions', 'list_thread_states',
        'list_unknown_fields', 'list_unreadable_deliveries', 'list_unseen_threads',
        'load_sync_response', 'load_webhook_events', 'mark_for_reauthorization',
        'mark_threads_gone', 'open_sync_session', 'park_cancelled_sync', 'pause_graph_api',
        'postpone_alert_message', 'postpone_next_sync', 'put_off_list_gap', 'quarantine',
        'record_drain_failure', 'record_drain_success', 'record_graph_usage',
        'record_heartbeat', 'record_page_answer', 'record_page_check',
        'record_page_refusal', 'record_sync_wait', 'recount_conversations', 'release_gaps',
        'release_sync_lock', 'release_threads', 'request_continuations',
        'reserve_graph_call', 'resolve_quarantined', 'restart_session_list',
        'return_webhook_claims', 'save_request_size', 'serves_revision',
        'settle_alert_message', 'settle_webhook_deliveries', 'suspend_sync_session',
        'take_lease', 'update_alerts', 'warn_sync_session', 'was_list_refused'
    ]
    when 'receiver' then array[
        'block_registration', 'bulk_upsert_conversations_with_events',
        'claim_alert_message', 'claim_due_records', 'claim_webhook_deliveries',
        'count_waiting_deliveries', 'count_webhook_claim', 'find_message_contacts',
        'find_pages', 'find_registered_pages', 'get_app_refusal', 'get_overview', 'get_page',
        'get_sync_progress', 'list_alerts', 'list_failing_drains', 'list_last_sessions',
        'list_metrics', 'list_page_states', 'list_quarantined',
        'list_unreadable_deliveries', 'load_webhook_events', 'pause_graph_api',
        'postpone_alert_message', 'quarantine', 'receive_webhook_deliveries',
        'record_drain_failure', 'record_drain_success', 'record_graph_usage',
        'record_heartbeat', 'record_page_answer', 'record_page_refusal', 'request_sync',
        'reserve_graph_call', 'resolve_quarantined', 'return_webhook_claims',
        'serves_revision', 'settle_alert_message', 'settle_webhook_deliveries',
        'update_alerts'
    ]
    else '{}'::text[] end
$$;

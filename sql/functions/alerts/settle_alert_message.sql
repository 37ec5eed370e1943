-- Records that the alerts of one message were sent. The notifier's address answers again, so the
-- alerts that waited for it become due.
create or replace function :own.settle_alert_message(p_ids bigint[], p_phase text)
returns void
language plpgsql security definer
set search_path from current
as $$
begin
    perform commit_durably();
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.alerts'));
    update alerts
    set sent_at = coalesce(sent_at, clock_timestamp()),
        closing_sent_at = case when p_phase <> 'opened' then clock_timestamp() end,
        attempts = 0, not_before = now(), notifier_paused_until = null, last_error = null
    where id = any (p_ids);
    update alerts
    set not_before = now(), notifier_paused_until = null
    where closing_sent_at is null and (sent_at is null or closed_at is not null)
      and notifier_paused_until is not null;
end
$$;

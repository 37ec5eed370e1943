-- Records why the alerts of one message could not be sent. They are retried after 30 seconds, then
-- after twice as long each time up to an hour, but not before p_seconds have passed. With p_notifier_down
-- the message was not the cause (the notifier's address does not answer): then no other message is
-- sent either for 30 seconds or p_seconds, whichever is longer.
create or replace function :own.postpone_alert_message(
    p_ids bigint[], p_error text, p_seconds double precision, p_notifier_down boolean
) returns void
language plpgsql security definer
set search_path from current
as $$
begin
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.alerts'));
    update alerts
    set attempts = attempts + 1, last_error = p_error,
        not_before = now() + greatest(
            make_interval(secs => p_seconds),
            least(interval '1 hour', interval '30 seconds' * 2 ^ least(attempts, 10))),
        notifier_paused_until = case when p_notifier_down then
            now() + greatest(make_interval(secs => p_seconds), interval '30 seconds') end
    where id = any (p_ids);
end
$$;

-- Deletes hourly webhook counts older than p_hourly_counts, messages that a sync found first more than
-- seven days ago, and alerts that closed longer ago than
-- p_alerts. Returns the number of deleted rows of each.
create or replace function :own.delete_old_alerts(
    p_hourly_counts interval default '30 days', p_alerts interval default '90 days'
) returns table (hourly_counts integer, alerts integer)
language plpgsql security definer
set search_path from current
as $$
begin
    delete from webhook_hourly_counts h where h.hour < now() - p_hourly_counts;
    get diagnostics hourly_counts = row_count;
    delete from uncovered_messages u where u.found_at < now() - interval '7 days';
    delete from alerts a where a.closed_at < now() - p_alerts;
    get diagnostics alerts = row_count;
    return next;
end
$$;

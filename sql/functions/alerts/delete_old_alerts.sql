-- Deletes hourly webhook counts older than p_habits and alerts that closed longer ago than
-- p_alerts. Returns the number of deleted rows of each.
create or replace function :own.delete_old_alerts(
    p_habits interval default '30 days', p_alerts interval default '90 days'
) returns table (habits integer, alerts integer)
language plpgsql
set search_path from current
as $$
begin
    delete from webhook_hourly_counts h where h.hour < now() - p_habits;
    get diagnostics habits = row_count;
    delete from alerts a where a.closed_at < now() - p_alerts;
    get diagnostics alerts = row_count;
    return next;
end
$$;

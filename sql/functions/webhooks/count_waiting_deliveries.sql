-- Returns the number of deliveries that have been due for more than p_older_than, and when the
-- oldest was received.
create or replace function :own.count_waiting_deliveries(p_older_than interval default '0')
returns table (deliveries bigint, oldest timestamptz)
language sql stable security definer
set search_path from current
as $$
    select count(*), min(received_at)
    from webhook_inbox
    where state = 'pending' and not_before <= now() - p_older_than
$$;

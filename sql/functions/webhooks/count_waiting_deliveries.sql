-- The deliveries that are to be applied now and have been for p_older_than: how many, and when the
-- oldest was received.
create or replace function :own.count_waiting_deliveries(p_older_than interval default '0')
returns table (deliveries bigint, oldest timestamptz)
language sql stable
set search_path from current
as $$
    select count(*), min(received_at)
    from webhook_inbox
    where state = 'pending' and not_before <= now() - p_older_than
$$;

-- Returns the number of deliveries that have been due for more than p_older_than, at most p_limit, and
-- when the oldest of them was received.
create or replace function :own.count_waiting_deliveries(
    p_older_than interval default '0', p_limit bigint default 10000
) returns table (deliveries bigint, oldest timestamptz)
language sql stable security definer
set search_path from current
-- See lock_due_deliveries: the scan of webhook_inbox_due must end early.
set enable_sort = off
set enable_seqscan = off
set jit = off
as $$
    select count(*), min(received_at)
    from (
        select received_at from webhook_inbox
        where state = 'pending' and not_before <= now() - p_older_than
        order by not_before, id limit p_limit) w
$$;

-- Up to p_limit deliveries that are to be applied now, longest waiting first; of p_ids only, if
-- given. Nobody else gets them until the end of the transaction.
create or replace function claim_webhook_deliveries(p_limit integer, p_ids bigint[] default null)
returns table (id bigint, body bytea, received_at timestamptz, attempts integer)
language sql
set search_path from current
as $$
    select i.id, i.body, i.received_at, i.attempts
    from webhook_inbox i
    where i.state = 'pending' and i.not_before <= now() and (p_ids is null or i.id = any (p_ids))
    order by i.not_before, i.id
    limit p_limit
    for update skip locked
$$;

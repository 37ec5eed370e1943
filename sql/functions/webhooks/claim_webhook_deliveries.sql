-- Claims up to p_limit due deliveries, longest waiting first, with at most 8 MB of bodies together
-- (but at least one delivery); with p_ids only those. They stay locked for other callers until the
-- end of the transaction.
create or replace function :own.claim_webhook_deliveries(
    p_limit integer, p_ids bigint[] default null
) returns table (id bigint, body bytea, received_at timestamptz, attempts integer)
language sql
set search_path from current
as $$
    with locked as materialized (
        select i.id, i.not_before, octet_length(i.body) as size
        from webhook_inbox i
        where i.state = 'pending' and i.not_before <= now()
          and (p_ids is null or i.id = any (p_ids))
        order by i.not_before, i.id
        limit p_limit
        for update skip locked
    ), counted as (
        select l.id, sum(l.size) over (order by l.not_before, l.id) - l.size as before from locked l
    )
    select i.id, i.body, i.received_at, i.attempts
    from counted c
    join webhook_inbox i on i.id = c.id
    where c.before < 8 * 1024 * 1024
    order by i.not_before, i.id
$$;

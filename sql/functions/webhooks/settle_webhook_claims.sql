-- Takes settled deliveries out of all claims, and deletes the claims that would be empty.
create or replace function :own.settle_webhook_claims(p_deliveries bigint[])
returns void
language sql
set search_path from current
as $$
    -- The caller's own claim, which nobody else changes, and those of processes that were killed.
    -- In a fixed order, so that two drains do not deadlock.
    select from webhook_claims where deliveries && p_deliveries order by id for update;
    delete from webhook_claims where deliveries <@ p_deliveries;
    update webhook_claims
    set deliveries = array(select d from unnest(deliveries) as d where d <> all (p_deliveries))
    where deliveries && p_deliveries;
$$;

-- Records the outcome of deliveries, and deletes their claims. Call it last in a transaction: until
-- the transaction ends no other one can count its settled deliveries.
--
-- p_settled: [{id, state, retry_seconds?, waiting_for?, outcomes?, error?}]. A pending delivery is
--   retried after retry_seconds, or when one of the pages in waiting_for is registered. It counts
--   as another attempt only if it has an error.
create or replace function :own.settle_webhook_deliveries(p_settled jsonb)
returns void
language sql security definer
set search_path from current
as $$
    select settle_webhook_claims(
        array(select (s ->> 'id')::bigint from jsonb_array_elements(p_settled) as s));
    with settled as (
        update webhook_inbox i
        set state = s.state,
            attempts = i.attempts + (s.error is not null)::integer,
            not_before = case
                when s.state <> 'pending' then i.not_before
                when s.retry_seconds is not null then now() + make_interval(secs => s.retry_seconds)
                end,
            waiting_for = s.waiting_for,
            outcomes = s.outcomes,
            last_error = s.error,
            settled_at = case when s.state <> 'pending' then clock_timestamp() end
        from jsonb_to_recordset(p_settled) as s (
            id bigint, state text, retry_seconds double precision, waiting_for text[],
            outcomes jsonb, error text)
        where i.id = s.id
        returning i.state
    )
    insert into webhook_totals as t (state, deliveries)
    select state, count(*) from settled
    group by state
    -- In a fixed order, so that two drains do not deadlock.
    order by state
    on conflict (state) do update set deliveries = t.deliveries + excluded.deliveries
$$;

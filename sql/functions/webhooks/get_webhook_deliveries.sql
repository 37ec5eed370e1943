-- Returns the deliveries with these ids and their outcomes. The body is included only for a
-- delivery that is done and has no outcomes recorded.
create or replace function :own.get_webhook_deliveries(p_ids bigint[])
returns table (
    id bigint, body bytea, state text, attempts integer, outcomes jsonb,
    waiting_for text[], last_error text, received_at timestamptz, not_before timestamptz
)
language sql stable
set search_path from current
as $$
    select i.id, case when i.state = 'done' and i.outcomes is null then i.body end, i.state,
           i.attempts, i.outcomes, i.waiting_for, i.last_error, i.received_at, i.not_before
    from webhook_inbox i where i.id = any (p_ids) order by i.id
$$;

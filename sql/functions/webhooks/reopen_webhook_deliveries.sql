-- Makes deliveries pending again, as if they had just arrived. Returns their ids.
--
-- p_ids, p_state, p_since, p_until: which deliveries; NULL: no restriction. p_since is inclusive
--   and p_until exclusive, of received_at.
-- p_after, p_limit: up to p_limit deliveries with an id greater than p_after.
create or replace function :own.reopen_webhook_deliveries(
    p_ids bigint[] default null, p_state text default null, p_since timestamptz default null,
    p_until timestamptz default null, p_after bigint default 0, p_limit integer default 1000
) returns setof bigint
language sql
set search_path from current
as $$
    select commit_durably();
    update webhook_inbox i
    set state = 'pending', attempts = 0, not_before = now(), waiting_for = null, outcomes = null,
        last_error = null, settled_at = null
    where i.id in (
        select id from webhook_inbox
        where id > p_after
          and (p_ids is null or id = any (p_ids))
          and (p_state is null or state = p_state)
          and (p_since is null or received_at >= p_since)
          and (p_until is null or received_at < p_until)
        order by id limit p_limit for update)
    returning i.id
$$;

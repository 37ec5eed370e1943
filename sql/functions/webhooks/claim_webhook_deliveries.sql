-- Claims up to p_limit due deliveries, longest waiting first, with at most 8 MB of bodies together
-- (but at least one delivery); with p_ids only those. They stay locked for other callers until the
-- end of the transaction. Record the claim with count_webhook_claim before any of them is parsed.
--
-- claims: how many processes took the delivery and ended without settling it. Such a delivery is
--   claimed alone, and waits behind those that were due up to half a minute later for each of its
--   claims: so it stops no other, and a stream of new ones does not hold it up for ever. One with
--   three claims is returned only with p_with_lost: its caller must set it aside.
create or replace function :own.claim_webhook_deliveries(
    p_limit integer, p_ids bigint[] default null, p_with_lost boolean default false
) returns table (id bigint, body bytea, received_at timestamptz, attempts integer, claims integer)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    v_claimed bigint[] := array(
        select d from webhook_claims c cross join unnest(c.deliveries) as d);
    v_suspect record;
    v_locked bigint[];
begin
    select i.id, s.claims, i.not_before + s.claims * interval '30 seconds' as due_at into v_suspect
    from (select d as id, count(*)::integer as claims from unnest(v_claimed) as d
          where p_ids is null or d = any (p_ids) group by d) s
    join webhook_inbox i on i.id = s.id
    where i.state = 'pending' and i.not_before <= now()
      and (p_with_lost or s.claims < 3)
    order by due_at, i.id
    limit 1
    for update of i skip locked;

    v_locked := array(
        select l.id
        from lock_due_deliveries(p_limit, least(now(), v_suspect.due_at), p_ids, v_claimed) l
        order by l.not_before, l.id);
    return query
    with counted as (
        select k.id, k.place, sum(d.size) over (order by k.place) - d.size as before
        from unnest(v_locked) with ordinality as k (id, place)
        cross join lateral (
            select octet_length(i.body) as size from webhook_inbox i where i.id = k.id limit 1) d
    )
    select i.id, i.body, i.received_at, i.attempts, 0
    from counted c
    cross join lateral (select * from webhook_inbox o where o.id = c.id limit 1) i
    where c.before < 8 * 1024 * 1024
    order by c.place;

    if not found and v_suspect.id is not null then
        return query
        select i.id, i.body, i.received_at, i.attempts, v_suspect.claims
        from webhook_inbox i where i.id = v_suspect.id;
    end if;
end
$$;

-- Locks up to p_limit due deliveries until the end of the transaction, longest waiting first, and
-- returns them; those that others hold are passed over. With p_ids only those, without p_without.
--
-- p_until: those that were due by then.
create or replace function :own.lock_due_deliveries(
    p_limit integer, p_until timestamptz, p_ids bigint[] default null,
    p_without bigint[] default '{}'
) returns table (id bigint, not_before timestamptz, received_at timestamptz, attempts integer)
language plpgsql
set search_path from current
-- Only webhook_inbox_due gives the order without a sort, and then the scan ends early. A sort would
-- read the whole backlog first, and without knowing p_limit the planner takes it for cheaper.
set enable_sort = off
set enable_seqscan = off
set jit = off  -- what is off looks too expensive not to be compiled
as $$
#variable_conflict use_column
begin
    if p_ids is null then
        return query
        select i.id, i.not_before, i.received_at, i.attempts
        from webhook_inbox i
        where i.state = 'pending' and i.not_before <= p_until
          -- Not an anti-join, which could not end early.
          and i.id <> all (p_without)
        order by i.not_before, i.id
        limit p_limit
        for update skip locked;
    else
        return query
        select l.id, l.not_before, l.received_at, l.attempts
        from (
            select i.id, i.not_before, i.received_at, i.attempts
            from webhook_inbox i
            where i.id = any (p_ids) and i.state = 'pending' and i.not_before <= p_until
              and i.id <> all (p_without)
            for update skip locked
        ) l
        order by l.not_before, l.id
        limit p_limit;
    end if;
end
$$;

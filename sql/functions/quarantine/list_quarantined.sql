-- Returns the unresolved records of quarantine, oldest first, from p_after (exclusive) on: those of
-- one page or of all, those with p_ids or all. With p_discarded the discarded ones instead.
--
-- sender_id: the contact in whose thread a message stands, if known.
create or replace function :own.list_quarantined(
    p_page_id text default null, p_ids bigint[] default null, p_after bigint default 0,
    p_limit integer default 100, p_discarded boolean default false
) returns table (
    id bigint, page_id text, source text, kind text, identity text, thread_id text,
    sender_id text, reason text, record jsonb, first_seen_at timestamptz,
    last_seen_at timestamptz, seen_count integer, discarded_by text, discard_reason text,
    resolved_at timestamptz
)
language sql stable security definer
set search_path from current
as $$
    select q.id, q.page_id, q.source, q.kind, q.identity, q.thread_id, t.sender_id, q.reason,
           q.record, q.first_seen_at, q.last_seen_at, q.seen_count, q.discarded_by,
           q.discard_reason, q.resolved_at
    from (
        -- Each reads an index in its order, and at most one of them is executed.
        (select * from quarantined_records r
         where not p_discarded and p_page_id is null and p_ids is null
           and r.resolved_at is null and r.id > p_after
         order by r.id limit p_limit)
        union all
        (select * from quarantined_records r
         where not p_discarded and p_ids is null
           and r.page_id = p_page_id and r.resolved_at is null and r.id > p_after
         order by r.page_id, r.id limit p_limit)
        union all
        (select * from quarantined_records r
         where (p_discarded or p_ids is not null)
           and case when p_discarded then r.discarded_by is not null else r.resolved_at is null end
           and (p_page_id is null or r.page_id = p_page_id)
           and (p_ids is null or r.id = any (p_ids)) and r.id > p_after
         order by r.id limit p_limit)
    ) q
    left join lateral (
        select m.sender_id from messenger_threads m
        where m.page_id = q.page_id and m.thread_id = q.thread_id limit 1) t on true
    order by q.id
    limit p_limit
$$;

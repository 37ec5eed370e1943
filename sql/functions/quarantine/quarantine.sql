-- Quarantines records that could not be used. A record that is there already is counted once more
-- and is unresolved again.
--
-- p_records: [{source, kind, identity, thread_id?, reason, record}].
create or replace function :own.quarantine(p_page_id text, p_records jsonb)
returns void
language sql
set search_path from current
as $$
    insert into quarantined_records as q
        (page_id, source, kind, identity, thread_id, reason, record)
    select distinct on (n.source, n.identity, n.reason)
           p_page_id, n.source, coalesce(n.kind, 'message'), n.identity, n.thread_id, n.reason,
           coalesce(n.record, 'null')
    from jsonb_to_recordset(p_records) as n (
        source text, kind text, identity text, thread_id text, reason text, record jsonb)
    on conflict (page_id, source, identity, reason) do update
        set record = excluded.record, kind = excluded.kind, thread_id = excluded.thread_id,
            last_seen_at = now(), seen_count = q.seen_count + 1,
            resolved_at = case when q.discarded_by is not null then q.resolved_at end
$$;

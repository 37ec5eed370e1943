-- Quarantines records that could not be used. A record that is there already is counted once more
-- and is unresolved again.
--
-- p_records: [{source, kind, identity?, thread_id?, reason, record}]. A record without an identity is
--   identified by its content, so that different ones do not overwrite each other. URLs that each
--   answer signs again do not count, or each sync would add a record.
create or replace function :own.quarantine(p_page_id text, p_records jsonb)
returns void
language sql security definer
set search_path from current
as $$
    insert into quarantined_records as q
        (page_id, source, kind, identity, thread_id, reason, record, message_key)
    select distinct on (n.source, n.identity, n.reason)
           p_page_id, n.source, n.kind, n.identity, n.thread_id, n.reason, n.record,
           message_key(left(case n.kind
               when 'message' then n.identity
               when 'event' then n.record #>> '{events,0,message_id}'
               when 'item' then n.record #>> '{item,message,mid}' end, 1000))
    from (
        select r.source, coalesce(r.kind, 'message') as kind, r.thread_id, r.reason,
               coalesce(r.record, 'null') as record,
               coalesce(nullif(r.identity, ''), 'sha256:' || encode(sha256(convert_to(stable_json(
                   jsonb_build_array(r.kind, r.thread_id, r.record)), 'UTF8')), 'hex'))
               as identity
        from jsonb_to_recordset(p_records) as r (
            source text, kind text, identity text, thread_id text, reason text, record jsonb)
    ) n
    on conflict (page_id, source, identity, reason) do update
        set record = excluded.record, kind = excluded.kind, thread_id = excluded.thread_id,
            message_key = excluded.message_key, last_seen_at = now(), seen_count = q.seen_count + 1,
            resolved_at = case when q.discarded_by is not null then q.resolved_at end
$$;

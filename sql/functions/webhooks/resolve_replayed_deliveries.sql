-- Resolves the quarantined records of those deliveries that are applied by now. Returns their
-- number.
create or replace function :own.resolve_replayed_deliveries(p_ids bigint[])
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_resolved integer;
begin
    perform commit_durably();
    update quarantined_records q
    set resolved_at = now(), discarded_by = null, discard_reason = null
    from webhook_inbox i
    where q.source = 'webhook' and (q.resolved_at is null or q.discarded_by is not null)
      -- As text: any record may hold a key of that name.
      and i.id::text = q.record ->> 'delivery'
      and i.id = any (p_ids) and i.state in ('done', 'ignored');
    get diagnostics v_resolved = row_count;
    return v_resolved;
end
$$;

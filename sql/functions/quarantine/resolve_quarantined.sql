-- Loads the rows that a quarantined record turned out to hold, and resolves the record, in one
-- transaction. A discarded record is loaded, too. Returns false if it is resolved already. If
-- PostgreSQL rejects the rows, raises its error and keeps the record.
create or replace function :own.resolve_quarantined(p_id bigint, p_conversations jsonb)
returns boolean
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
begin
    perform commit_durably();
    update quarantined_records
    set resolved_at = now(), discarded_by = null, discard_reason = null
    where id = p_id and (resolved_at is null or discarded_by is not null)
    returning page_id into v_page_id;
    if not found then
        return false;
    end if;
    perform merge_conversations(v_page_id, p_conversations);
    return true;
end
$$;

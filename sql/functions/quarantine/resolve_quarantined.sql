-- Loads what a quarantined record turned out to be, and takes it out of quarantine, in one commit.
-- False if it is not there any more. What PostgreSQL refuses is raised, and the record stays.
create or replace function :own.resolve_quarantined(p_id bigint, p_conversations jsonb)
returns boolean
language plpgsql
set search_path from current
as $$
declare
    v_page_id text;
begin
    update quarantined_records set resolved_at = now()
    where id = p_id and resolved_at is null
    returning page_id into v_page_id;
    if not found then
        return false;
    end if;
    perform merge_conversations(v_page_id, p_conversations);
    return true;
end
$$;

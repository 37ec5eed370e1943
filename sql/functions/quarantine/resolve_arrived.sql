-- Resolves quarantined records whose thread or message has been loaded in a usable form since.
-- p_conversations: what was loaded, see merge_conversations; what PostgreSQL rejected of it is not
-- stored. p_threads: the threads that were loaded, or are listed as they are stored.
create or replace function :own.resolve_arrived(
    p_page_id text, p_conversations jsonb, p_threads text[] default '{}'
) returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
declare
    v_keys text[];
begin
    -- Most pages have none.
    if not exists (
        select from quarantined_records q
        where q.page_id = p_page_id and q.resolved_at is null and q.kind <> 'delivery')
    then
        return;
    end if;
    update quarantined_records q set resolved_at = now()
    where q.page_id = p_page_id and q.source = 'sync' and q.identity = any (p_threads)
      and q.kind = 'thread' and q.resolved_at is null;
    v_keys := list_message_keys(p_conversations);
    update quarantined_records q set resolved_at = now()
    where q.page_id = p_page_id and q.resolved_at is null and q.message_key = any (v_keys)
      -- A replay of the record's own delivery resolves it: see resolve_replayed_deliveries.
      and not exists (
          select from jsonb_path_query(p_conversations, '$[*].events[*].items[*]') as i (item)
          where split_part(i.item #>> '{}', ':', 1) = q.record ->> 'delivery')
      -- An unsend is another event than its message.
      and q.record #> '{item,message,is_deleted}' is distinct from 'true'
      and exists (
          select from contact_interaction_events e
          where e.page_id = p_page_id and e.message_id is not null
            and message_key(e.message_id) = q.message_key
            and event_kind(e.event_type) = case q.kind
                when 'event' then event_kind(q.record #>> '{events,0,event_type}')
                else 'message' end
            and e.discriminator = case q.kind
                when 'event' then coalesce(q.record #>> '{events,0,discriminator}', '')
                else '' end);
end
$$;

-- Raises MPC01 if a conversation has no events. Adopted ones may have none, and until the first sync
-- of their page so may those that the replaced application goes on adding.
do $$
declare
    v_count bigint;
    v_sample text;
begin
    select count(*), min(format('page %s, sender %s', page_id, sender_id)) into v_count, v_sample
    from messenger_conversations c
    where not exists (select from contact_interaction_events e where e.conversation_id = c.id)
      and c.sender_id <> ''  -- an adopted one, which nothing reads
      and not exists (select from adopted_conversations a
                      where a.conversation_id = c.id and not a.has_events)
      and not exists (select from adopted_pages p
                      where p.page_id = c.page_id and p.synced_at is null
                        and c.updated_at > p.adopted_at);
    if v_count > 0 then
        raise exception '% without events, for example %',
            case when v_count = 1 then '1 conversation'
                 else to_char(v_count, 'FM999,999,999,999') || ' conversations' end,
            v_sample using errcode = 'MPC01';
    end if;
end
$$;

-- Raises MPC01 if a conversation's message_count, last_message or last_message_time differs from
-- its stored messages. Of adopted conversations the last message may be one without an event; those to
-- which the replaced application goes on writing count from the first sync of their page.
do $$
declare
    v_count bigint;
    v_sample text;
begin
    select count(*), min(format('page %s, sender %s', c.page_id, c.sender_id))
    into v_count, v_sample
    from messenger_conversations c
    left join (
        select conversation_id, count(*) as messages
        from contact_interaction_events
        where event_kind(event_type) = 'message'
        group by conversation_id
    ) e on e.conversation_id = c.id
    left join lateral (
        select l.event_timestamp, coalesce(l.metadata ->> 'text', '') as text
        from contact_interaction_events l
        where l.conversation_id = c.id and event_kind(l.event_type) = 'message'
          and not l.metadata ? 'unsent_at'
        order by l.event_timestamp desc,
                 message_key(l.message_id) desc, l.event_type collate "C" desc, l.discriminator desc
        limit 1
    ) newest on true
    left join adopted_conversations a on a.conversation_id = c.id and a.version = c.version
    where (c.message_count <> coalesce(e.messages, 0)
           or a.conversation_id is null
              and (c.last_message_time is distinct from newest.event_timestamp
                   or c.last_message is distinct from newest.text))
      and not exists (
          select from adopted_pages p
          where p.page_id = c.page_id and p.synced_at is null
            and (c.updated_at > p.adopted_at
                 or exists (select from contact_interaction_events w
                            where w.conversation_id = c.id and w.created_at > p.adopted_at)));
    if v_count > 0 then
        raise exception '% a count or last message that differs from the messages, for example %',
            case when v_count = 1 then '1 conversation has'
                 else to_char(v_count, 'FM999,999,999,999') || ' conversations have' end,
            v_sample using errcode = 'MPC01',
                detail = 'A full sync of the page corrects them: messenger-pipeline sync PAGE_ID --full';
    end if;
end
$$;

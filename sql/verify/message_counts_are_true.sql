-- message_count and last_message_time of each conversation are those of its stored messages.
do $$
declare
    v_count bigint;
    v_sample text;
begin
    select count(*), min(format('page %s, sender %s', c.page_id, c.sender_id))
    into v_count, v_sample
    from messenger_conversations c
    left join (
        select conversation_id, count(*) as messages,
               max(event_timestamp) filter (where not metadata ? 'unsent_at') as newest
        from contact_interaction_events
        where split_part(event_type, '_', 1) = 'message'
        group by conversation_id
    ) e on e.conversation_id = c.id
    where c.message_count <> coalesce(e.messages, 0)
       or c.last_message_time is distinct from coalesce(e.newest, c.last_message_time);
    if v_count > 0 then
        raise exception '% conversations whose count or last time is not that of their messages, such as %',
            v_count, v_sample using errcode = 'MPC01';
    end if;
end
$$;

-- Raises MPC01 if an event is stored more than once. The unique indexes prevent that; this check
-- reads the rows themselves, so that it also detects a damaged, invalid or missing index.
do $$
declare
    v_count bigint;
    v_sample text;
begin
    set local enable_indexscan = off;
    set local enable_indexonlyscan = off;
    set local enable_bitmapscan = off;
    select count(*), min(format('page %s, message %s', page_id, identity)) into v_count, v_sample
    from (
        select e.page_id, i.identity
        from contact_interaction_events e
        cross join lateral (
            select coalesce(message_key(e.message_id),
                            e.conversation_id || ' at ' || e.event_timestamp) as identity
        ) i
        where e.page_id is not null  -- of an adopted table: not of any conversation
        group by e.page_id, i.identity, e.discriminator,
                 case when e.message_id is null then e.event_type else event_kind(e.event_type) end
        having count(*) > 1
    ) duplicates;
    if v_count > 0 then
        raise exception '% stored more than once, for example %',
            case when v_count = 1 then '1 event is'
                 else to_char(v_count, 'FM999,999,999,999') || ' events are' end,
            v_sample using errcode = 'MPC01';
    end if;
end
$$;

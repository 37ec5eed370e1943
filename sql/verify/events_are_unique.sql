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
        select page_id,
               coalesce(message_key(message_id),
                        conversation_id || ' at ' || event_timestamp) as identity
        from contact_interaction_events
        group by page_id, identity, discriminator,
                 case when message_id is null then event_type else event_kind(event_type) end
        having count(*) > 1
    ) duplicates;
    -- An upgrade continues in the same transaction.
    set local enable_indexscan to default;
    set local enable_indexonlyscan to default;
    set local enable_bitmapscan to default;
    if v_count > 0 then
        raise exception '% stored more than once, for example %',
            case when v_count = 1 then '1 event is'
                 else to_char(v_count, 'FM999,999,999,999') || ' events are' end,
            v_sample using errcode = 'MPC01';
    end if;
end
$$;

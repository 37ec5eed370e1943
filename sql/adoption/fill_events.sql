-- Fills our columns in some blocks of contact_interaction_events. Returns the rows filled.
create or replace function :own.fill_events(p_from bigint, p_to bigint)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_rows bigint;
begin
    with nulls as (
        insert into adopted_values (table_name, id, old, adopted)
        select 'contact_interaction_events', e.id::text, '{"metadata": null}', '{"metadata": {}}'
        from contact_interaction_events e
        where e.ctid >= format('(%s,0)', p_from)::tid and e.ctid < format('(%s,0)', p_to)::tid
          and e.metadata is null
        on conflict do nothing
    )
    select 0 into v_rows;
    execute format($q$
        update contact_interaction_events e
        set page_id = m.%I,
            message_id = coalesce(nullif(e.message_id, ''), nullif(e.metadata ->> 'message_id', '')),
            as_of = coalesce(e.as_of, e.event_timestamp),
            metadata = coalesce(e.metadata, '{}')
        from messenger_conversations m
        where m.id = e.conversation_id and m.%1$I is not null and m.sender_id <> ''
          and e.ctid >= $1 and e.ctid < $2 and e.page_id is null
        $q$, account_column())
        using format('(%s,0)', p_from)::tid, format('(%s,0)', p_to)::tid;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

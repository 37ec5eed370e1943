-- Fills our columns in some blocks of contact_interaction_events. Returns the rows filled.
--
-- A message without an id is claimed by one with the same text, and Meta gives an empty text where the
-- replaced application left it out.
create or replace function :own.fill_events(p_from bigint, p_to bigint)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_rows bigint;
begin
    execute format($q$
        with found as materialized (
            select e.id, m.%I as page_id, e.event_timestamp, e.metadata,
                   coalesce(nullif(e.message_id, ''), nullif(e.metadata ->> 'message_id', ''))
                       as message_id,
                   coalesce(e.metadata, '{}') || case
                       when event_kind(e.event_type) = 'message' and e.metadata ->> 'text' is null
                        and coalesce(nullif(e.message_id, ''),
                                     nullif(e.metadata ->> 'message_id', '')) is null
                       then '{"text": ""}' else '{}' end::jsonb as new_metadata
            from contact_interaction_events e
            join messenger_conversations m on m.id = e.conversation_id
            where m.%1$I is not null and m.sender_id <> ''
              and e.ctid >= $1 and e.ctid < $2 and e.page_id is null
        ), kept as (
            insert into adopted_values (table_name, id, old, adopted)
            select 'contact_interaction_events', id::text,
                   jsonb_build_object('metadata', metadata),
                   jsonb_build_object('metadata', new_metadata)
            from found where metadata is distinct from new_metadata
            on conflict do nothing
        )
        update contact_interaction_events e
        set page_id = f.page_id, message_id = f.message_id,
            as_of = coalesce(e.as_of, e.event_timestamp),
            metadata = case when e.metadata is not distinct from f.metadata then f.new_metadata
                            else e.metadata end
        from found f
        where f.id = e.id and e.ctid >= $1 and e.ctid < $2 and e.page_id is null
        $q$, account_column())
        using format('(%s,0)', p_from)::tid, format('(%s,0)', p_to)::tid;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

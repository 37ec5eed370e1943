-- Finds events that are stored twice, and which of each stays: the newest. Two that are not the same,
-- such as two messages of one second without ids, get a discriminator instead. Returns how many are
-- to be merged or kept apart.
create or replace function :own.find_event_merges()
returns bigint
language plpgsql
set search_path from current
set work_mem = '128MB'
as $$
declare
    v_rows bigint;
begin
    delete from adoption_work where kind in ('event', 'distinct');
    with twice as materialized (
        select page_id, message_key(message_id) as key, event_kind(event_type) as kind, discriminator
        from contact_interaction_events
        where page_id is not null and message_id is not null
        group by 1, 2, 3, 4 having count(*) > 1
    ), anonymous as materialized (
        select conversation_id, event_type, event_timestamp, discriminator
        from contact_interaction_events
        where page_id is not null and message_id is null
        group by 1, 2, 3, 4 having count(*) > 1
    ), ranked as (
        select e.id, e.metadata, t.kind = 'message' as is_message,
               first_value(e.id) over w as survivor, first_value(e.metadata) over w as its_metadata
        from contact_interaction_events e
        join twice t on t.page_id = e.page_id and t.key = message_key(e.message_id)
                    and t.kind = event_kind(e.event_type) and t.discriminator = e.discriminator
        where e.message_id is not null
        window w as (partition by t.page_id, t.key, t.kind, t.discriminator
                     order by e.created_at desc nulls last, e.id desc)
        union all
        select e.id, jsonb_strip_nulls(jsonb_build_object('text', e.metadata ->> 'text')), false,
               first_value(e.id) over w,
               jsonb_strip_nulls(jsonb_build_object('text', first_value(e.metadata ->> 'text') over w))
        from contact_interaction_events e
        join anonymous t on t.conversation_id = e.conversation_id and t.event_type = e.event_type
                        and t.event_timestamp = e.event_timestamp
                        and t.discriminator = e.discriminator
        where e.message_id is null and event_kind(e.event_type) = 'message'
        window w as (partition by t.conversation_id, t.event_type, t.event_timestamp, t.discriminator
                     order by e.created_at desc nulls last, e.id desc)
        union all
        select e.id, e.metadata, false, first_value(e.id) over w, first_value(e.metadata) over w
        from contact_interaction_events e
        join anonymous t on t.conversation_id = e.conversation_id and t.event_type = e.event_type
                        and t.event_timestamp = e.event_timestamp
                        and t.discriminator = e.discriminator
        where e.message_id is null and event_kind(e.event_type) <> 'message'
        window w as (partition by t.conversation_id, t.event_type, t.event_timestamp, t.discriminator
                     order by e.created_at desc nulls last, e.id desc)
    )
    insert into adoption_work (kind, id, survivor_id, detail)
    select case when r.is_same then 'event' else 'distinct' end, r.id::text, r.survivor::text,
           case when not r.is_same then 'adopted ' || md5(r.metadata::text) end
    from (
        select id, survivor, metadata - array['source', 'message_id'] as metadata,
               is_message or metadata - array['source', 'message_id']
                             = its_metadata - array['source', 'message_id'] as is_same
        from ranked where id <> survivor
    ) r;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

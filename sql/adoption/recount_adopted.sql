-- Corrects the counts of conversations in some blocks, and last messages that are older than the
-- newest event. Keeps what the replaced application had, and notes which conversations have a last
-- message that is in no event. Returns the conversations changed.
create or replace function :own.recount_adopted(p_from bigint, p_to bigint)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_rows bigint;
begin
    execute format($q$
    with locked as materialized (
        select m.id, m.message_count, m.version, m.last_message, m.last_message_time
        from messenger_conversations m
        where m.ctid >= $1 and m.ctid < $2 and m.%I is not null and m.sender_id <> ''
          -- A repeated batch would take its own values for those of then.
          and not exists (select from adopted_values v
                          where v.table_name = 'messenger_conversations' and v.id = m.id::text)
        order by m.sender_id for no key update
    ), counted as materialized (
        select l.*, e.messages, n.event_timestamp as newest_time, n.text as newest_text,
               n.event_timestamp > l.last_message_time or l.last_message_time is null
                   and n.event_timestamp is not null as is_behind
        from locked l
        cross join lateral (
            select count(*)::integer as messages from contact_interaction_events e
            where e.conversation_id = l.id and event_kind(e.event_type) = 'message'
        ) e
        left join lateral (
            select e.event_timestamp, coalesce(e.metadata ->> 'text', '') as text
            from contact_interaction_events e
            where e.conversation_id = l.id and event_kind(e.event_type) = 'message'
              and not e.metadata ? 'unsent_at'
            order by e.event_timestamp desc, message_key(e.message_id) desc,
                     e.event_type collate "C" desc, e.discriminator desc
            limit 1
        ) n on true
    ), noted as (
        insert into adopted_conversations (conversation_id, version, has_events)
        select id, coalesce(version, 0), exists (
                   select from contact_interaction_events e where e.conversation_id = c.id)
        from counted c
        where not coalesce(is_behind, false)
          and (last_message_time, last_message) is distinct from (newest_time, newest_text)
        on conflict do nothing
    ), changed as (
        select c.*,
               case when is_behind then newest_text else last_message end as new_message,
               case when is_behind then newest_time else last_message_time end as new_time
        from counted c
        where message_count is distinct from messages or version is null or is_behind
    ), kept as (
        insert into adopted_values (table_name, id, old, adopted)
        select 'messenger_conversations', id::text,
               jsonb_build_object('message_count', message_count, 'version', version,
                                  'last_message', last_message,
                                  'last_message_time', last_message_time),
               jsonb_build_object('message_count', messages, 'version', coalesce(version, 0),
                                  'last_message', new_message, 'last_message_time', new_time)
        from changed
    )
    update messenger_conversations m
    set message_count = c.messages, version = coalesce(c.version, 0),
        last_message = c.new_message, last_message_time = c.new_time
    from changed c
    where m.id = c.id
    $q$, account_column())
    using format('(%s,0)', p_from)::tid, format('(%s,0)', p_to)::tid;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

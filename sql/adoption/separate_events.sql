-- Makes room for a unique index of the replaced application's, which distinguishes fewer events than
-- ours: of events that are one to it, the message, one that an adoption did not move to another
-- conversation, or the oldest stays as it is. The others move by microseconds, or no longer name the
-- message in `message_id`. Returns how many changed.
--
-- p_definition: what creates the index or constraint.
create or replace function :own.separate_events(p_definition text)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_by_message boolean := p_definition ~ 'message_id';
    v_in_metadata boolean := p_definition ~ 'metadata';
    v_sum bigint := 0;
    v_rows bigint;
begin
    loop
        execute format($query$
            update contact_interaction_events e set %s
            from (
                select o.id, row_number() over (
                           partition by o.conversation_id, %s
                           order by o.event_type not like 'message%%', v.id is not null, o.created_at,
                                    o.id) - 1 as place
                from contact_interaction_events o
                left join adopted_values v
                    on v.table_name = 'contact_interaction_events' and v.id = o.id::text
                   and v.old ? 'conversation_id'
                %s
            ) d
            where d.id = e.id and d.place > 0
            $query$,
            case when not v_by_message
                    then 'event_timestamp = e.event_timestamp + d.place * interval ''1 microsecond'''
                 when v_in_metadata
                    then 'metadata = e.metadata - ''message_id'' || jsonb_build_object('
                         '''about_message_id'', e.metadata -> ''message_id'')'
                 else 'message_id = null, metadata = coalesce(e.metadata, ''{}'')'
                      ' || jsonb_build_object(''about_message_id'', e.message_id)' end,
            case when not v_by_message then 'o.event_type, o.event_timestamp'
                 when v_in_metadata then 'o.metadata ->> ''message_id'''
                 else 'o.message_id' end,
            case when not v_by_message then ''
                 when v_in_metadata then 'where o.metadata ->> ''message_id'' is not null'
                 else 'where o.message_id is not null' end);
        get diagnostics v_rows = row_count;
        v_sum := v_sum + v_rows;
        exit when v_rows = 0;
    end loop;
    return v_sum;
end
$$;

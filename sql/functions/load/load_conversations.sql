-- Loads conversations and their events, except the rows that PostgreSQL rejects: bisection finds
-- those and returns them in `refused` as [{reason, record}], each record a conversation with one
-- event. Only errors of the SQLSTATE classes in p_classes, which are about the data itself or come
-- from the owner's triggers and policies, are handled like this; any other error is raised. NULL:
-- every error is handled like this, except a deadlock and a lock time-out.
-- The other arguments are those of merge_conversations.
--
-- changed: [{conversation_id, sender_id, inserted}], the conversations that changed; empty if
--   p_fence is given, since no caller with a fence reads it.
create or replace function :own.load_conversations(
    p_page_id text, p_conversations jsonb, p_fence bigint,
    p_classes text[]
) returns table (
    inserted bigint, updated bigint, events_created bigint, refused jsonb, changed jsonb
)
language plpgsql
set search_path from current
as $$
declare
    v_loaded record;
    v_reason text;
    v_conversations integer;
    v_events integer;
begin
    begin
        select count(*) filter (where b.inserted) as inserted,
               count(*) filter (where b.updated) as updated,
               coalesce(sum(b.events_created), 0)::bigint as events_created,
               coalesce(jsonb_agg(jsonb_build_object(
                   'conversation_id', b.conversation_id::text, 'sender_id', b.sender_id,
                   'inserted', b.inserted)
               ) filter (where p_fence is null
                               and (b.inserted or b.updated or b.events_created > 0)), '[]')
                   as changed
        into v_loaded
        from merge_conversations(p_page_id, p_conversations, p_fence) b;
        if p_fence is not null then
            -- A constraint of the owner's that is checked at commit fails here, for its row alone.
            set constraints all immediate;
        end if;
        return query select v_loaded.inserted, v_loaded.updated, v_loaded.events_created,
                            '[]'::jsonb, v_loaded.changed;
        return;
    exception when others or query_canceled or assert_failure then
        -- A lock that another transaction holds is never the row's fault.
        if left(sqlstate, 2) <> all (p_classes) or sqlstate in ('40P01', '55P03') then
            raise;
        end if;
        v_reason := format('%s: %s', sqlstate, sqlerrm);
    end;
    v_conversations := jsonb_array_length(p_conversations);
    v_events := jsonb_array_length(p_conversations #> '{0,events}');
    if v_conversations = 1 and v_events <= 1 then
        return query select 0::bigint, 0::bigint, 0::bigint, jsonb_build_array(
            jsonb_build_object('reason', v_reason, 'record', p_conversations -> 0)), '[]'::jsonb;
        return;
    end if;
    return query
    select sum(l.inserted)::bigint, sum(l.updated)::bigint, sum(l.events_created)::bigint,
           jsonb_path_query_array(jsonb_agg(l.refused), '$[*][*]'),
           jsonb_path_query_array(jsonb_agg(l.changed), '$[*][*]')
    from (
        -- Splits several conversations in halves, or the events of a single one.
        select case when v_conversations > 1 then part.of_conversations
                    else jsonb_build_array(
                        jsonb_set(p_conversations -> 0, '{events}', part.of_events))
               end as conversations
        from (values (0), (1)) as half (number)
        cross join lateral (
            select
                (select jsonb_agg(value order by at)
                 from jsonb_array_elements(p_conversations) with ordinality as c (value, at)
                 where ((at - 1) * 2 >= v_conversations) = (half.number = 1)) as of_conversations,
                (select jsonb_agg(value order by at)
                 from jsonb_array_elements(p_conversations #> '{0,events}')
                      with ordinality as e (value, at)
                 where ((at - 1) * 2 >= v_events) = (half.number = 1)) as of_events
        ) part
    ) halves
    cross join lateral load_conversations(p_page_id, halves.conversations, p_fence, p_classes) l;
end
$$;

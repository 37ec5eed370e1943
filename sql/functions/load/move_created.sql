-- Counts up to p_events created events as those of another conversation: they were moved to it. See
-- insert_events for p_created.
create or replace function :own.move_created(p_created jsonb, p_from :conversation_id_type, p_to :conversation_id_type, p_events bigint)
returns jsonb
language sql immutable
set search_path from current
as $$
    select p_created || jsonb_build_object(
        p_from, jsonb_build_array(f.events - f.moved, f.messages),
        p_to, jsonb_build_array(t.events + f.moved, t.messages))
    from (
        select e.events, e.messages, least(e.events, p_events) as moved
        from (select coalesce((p_created -> p_from::text ->> 0)::bigint, 0) as events,
                     coalesce((p_created -> p_from::text ->> 1)::bigint, 0) as messages) e
    ) f
    cross join (
        select coalesce((p_created -> p_to::text ->> 0)::bigint, 0) as events,
               coalesce((p_created -> p_to::text ->> 1)::bigint, 0) as messages) t
$$;

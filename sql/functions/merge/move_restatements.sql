-- Moves what is recorded of the restatements of events to the conversation that the events moved to.
-- The caller holds the locks of both conversations.
create or replace function :own.move_restatements(
    p_ids :event_id_type[], p_from :conversation_id_type, p_to :conversation_id_type
) returns void
language sql
set search_path from current
as $$
    insert into restatements as r (conversation_id, as_of, ids)
    select p_to, o.as_of, array(select unnest(o.ids) intersect select unnest(p_ids))
    from restatements o
    where o.conversation_id = p_from and o.ids && p_ids
    on conflict (conversation_id, as_of) do update set ids = r.ids || excluded.ids;
    delete from restatements o where o.conversation_id = p_from and o.ids <@ p_ids;
    update restatements o set ids = array(select unnest(o.ids) except select unnest(p_ids))
    where o.conversation_id = p_from and o.ids && p_ids;
$$;

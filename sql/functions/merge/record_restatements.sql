-- Records when unchanged content was stated again. The three arrays are parallel: the conversation,
-- the event (or what stands for the conversation's name), and the time. The caller holds the locks of
-- the conversations.
--
-- Each id is in one row of its conversation, that of its last statement. A response restates the
-- newest messages of a thread together, so a conversation has few rows: what is left of an older one
-- is written to the few events themselves, and the row is deleted.
create or replace function :own.record_restatements(
    p_conversations :conversation_id_type[], p_ids :event_id_type[], p_as_of timestamptz[]
) returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
declare
    v_new record;
    v_old record;
    v_rest :event_id_type[];
begin
    for v_new in
        select g.conversation_id, g.as_of, array_agg(distinct g.id) as ids
        from unnest(p_conversations, p_ids, p_as_of) as g (conversation_id, id, as_of)
        where not exists (
            select from restatements r
            where r.conversation_id = g.conversation_id and r.as_of >= g.as_of
              and g.id = any (r.ids))
        group by g.conversation_id, g.as_of
        order by g.as_of
    loop
        insert into restatements as r (conversation_id, as_of, ids)
        values (v_new.conversation_id, v_new.as_of, v_new.ids)
        on conflict (conversation_id, as_of) do update
            set ids = r.ids || v_new.ids;
        delete from restatements r
        where r.conversation_id = v_new.conversation_id and r.as_of < v_new.as_of
          and r.ids <@ v_new.ids;
        for v_old in
            select r.as_of, r.ids from restatements r
            where r.conversation_id = v_new.conversation_id and r.as_of < v_new.as_of
              and r.ids && v_new.ids
        loop
            v_rest := array(select unnest(v_old.ids) except select unnest(v_new.ids));
            if cardinality(v_rest) > 10 then
                update restatements r set ids = v_rest
                where r.conversation_id = v_new.conversation_id and r.as_of = v_old.as_of;
            else
                update contact_interaction_events e
                set as_of = v_old.as_of, first_as_of = coalesce(e.first_as_of, e.as_of)
                where e.id = any (v_rest) and e.as_of < v_old.as_of;
                update messenger_conversations c set sender_name_as_of = v_old.as_of
                where c.id = v_new.conversation_id and :name_id(c.id) = any (v_rest)
                  and c.sender_name_as_of < v_old.as_of;
                delete from restatements r
                where r.conversation_id = v_new.conversation_id and r.as_of = v_old.as_of;
            end if;
        end loop;
    end loop;
end
$$;

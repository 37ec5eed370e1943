-- Merges up to p_limit of the conversations that find_conversation_merges found. Returns how many are
-- done; 0: all. What the one that stays lacks of owner and name comes from the others.
create or replace function :own.merge_conversation_batch(p_limit integer)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_found text[];
    v_merged :conversation_id_type[];
    v_survivors :conversation_id_type[];
    v_lacking jsonb;
begin
    v_found := array(
        select w.id from adoption_work w
        where w.kind = 'conversation' and w.survivor_id in (
            select o.survivor_id from adoption_work o where o.kind = 'conversation'
            order by o.survivor_id limit p_limit));
    perform from messenger_conversations m
    where m.id = any (cast(v_found as :conversation_id_type[])
        || array(select cast(w.survivor_id as :conversation_id_type) from adoption_work w
                 where w.kind = 'conversation' and w.id = any (v_found)))
    order by m.sender_id, m.id for update;
    -- Some may be gone since they were found.
    select array_agg(m.id), array_agg(s.id) into v_merged, v_survivors
    from adoption_work w
    join messenger_conversations m on m.id = cast(w.id as :conversation_id_type)
    join messenger_conversations s on s.id = cast(w.survivor_id as :conversation_id_type)
                                  and s.sender_id = m.sender_id
    where w.kind = 'conversation' and w.id = any (v_found);
    delete from adoption_work w where w.kind = 'conversation' and w.id = any (v_found);
    if v_merged is null then
        return cardinality(v_found);
    end if;

    -- A downgrade does not move them back: `adopted` does not name the column.
    insert into adopted_values as a (table_name, id, old, adopted)
    select 'contact_interaction_events', e.id::text,
           jsonb_build_object('conversation_id', e.conversation_id), '{}'
    from contact_interaction_events e where e.conversation_id = any (v_merged)
    on conflict (table_name, id) do update set old = excluded.old || a.old;
    update contact_interaction_events e set conversation_id = w.survivor
    from unnest(v_merged, v_survivors) w (merged, survivor)
    where e.conversation_id = w.merged;
    perform repoint_references(
        'messenger_conversations', v_merged::text[], v_survivors::text[]);
    select jsonb_agg(to_jsonb(o)) into v_lacking
    from (
        select s.id, coalesce(s.user_id, (array_agg(o.user_id order by o.last_message_time desc nulls last)
                   filter (where o.user_id is not null))[1]) as user_id,
               coalesce(s.sender_name,
                        (array_agg(o.sender_name order by o.last_message_time desc nulls last)
                   filter (where o.sender_name is not null))[1]) as sender_name,
               greatest(s.version, max(o.version)) as version
        from unnest(v_merged, v_survivors) w (merged, survivor)
        join messenger_conversations o on o.id = w.merged
        join messenger_conversations s on s.id = w.survivor
        group by s.id
    ) o;
    insert into merged_rows (table_name, merged_id, survivor_id, row_before)
    select 'messenger_conversations', w.merged::text, w.survivor::text, to_jsonb(m)
    from unnest(v_merged, v_survivors) w (merged, survivor)
    join messenger_conversations m on m.id = w.merged;
    delete from messenger_conversations m where m.id = any (v_merged);
    -- Only now: the owner may have been unique with page and sender.
    update messenger_conversations m
    set user_id = o.user_id, sender_name = o.sender_name, version = o.version
    from jsonb_populate_recordset(null::messenger_conversations, v_lacking) o
    where m.id = o.id
      and (m.user_id, m.sender_name, m.version) is distinct from (o.user_id, o.sender_name, o.version);
    return cardinality(v_found);
end
$$;

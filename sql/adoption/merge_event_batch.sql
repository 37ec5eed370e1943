-- Merges or keeps apart up to p_limit of the events that find_event_merges found. Returns how many are
-- done; 0: all.
--
-- The newest stays, with what only the others say, the more precise time, and the known direction.
create or replace function :own.merge_event_batch(p_limit integer)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_found text[];
    v_merged :event_id_type[];
    v_survivors :event_id_type[];
begin
    v_found := array(select w.id from adoption_work w where w.kind = 'distinct' limit p_limit);
    if v_found <> '{}' then
        update contact_interaction_events e set discriminator = w.detail
        from adoption_work w
        where w.kind = 'distinct' and w.id = any (v_found) and e.id = cast(w.id as :event_id_type);
        delete from adoption_work w where w.kind = 'distinct' and w.id = any (v_found);
        return cardinality(v_found);
    end if;

    -- All of one survivor together: their order decides what is the newest.
    v_found := array(
        select w.id from adoption_work w
        where w.kind = 'event' and w.survivor_id in (
            select o.survivor_id from adoption_work o where o.kind = 'event'
            order by o.survivor_id limit p_limit));
    perform from contact_interaction_events e
    where e.id = any (cast(v_found as :event_id_type[])
        || array(select cast(w.survivor_id as :event_id_type) from adoption_work w
                 where w.kind = 'event' and w.id = any (v_found)))
    order by e.id for update;
    select array_agg(e.id), array_agg(s.id) into v_merged, v_survivors
    from adoption_work w
    join contact_interaction_events e on e.id = cast(w.id as :event_id_type)
    join contact_interaction_events s on s.id = cast(w.survivor_id as :event_id_type)
    where w.kind = 'event' and w.id = any (v_found);
    delete from adoption_work w where w.kind = 'event' and w.id = any (v_found);
    if v_merged is null then
        return cardinality(v_found);
    end if;

    perform repoint_references(
        'contact_interaction_events', v_merged::text[], v_survivors::text[]);
    update contact_interaction_events e
    set metadata = n.metadata, event_type = n.event_type, event_timestamp = n.event_timestamp
    from (
        select a.survivor,
               (select jsonb_object_agg(k.key, k.value order by o.created_at nulls first, o.id)
                from contact_interaction_events o cross join jsonb_each(o.metadata) k
                where o.id = any (a.ids)) as metadata,
               max(o.event_type collate "C") as event_type,
               -- A time with a fraction is the more precise, else the earlier counts.
               coalesce(min(o.event_timestamp) filter (
                            where o.event_timestamp <> date_trunc('second', o.event_timestamp)),
                        min(o.event_timestamp)) as event_timestamp
        from (
            select survivor, array_agg(merged) || survivor as ids
            from unnest(v_merged, v_survivors) w (merged, survivor) group by survivor
        ) a
        join contact_interaction_events o on o.id = any (a.ids)
        group by a.survivor, a.ids
    ) n
    where e.id = n.survivor
      and (e.metadata, e.event_type, e.event_timestamp)
          is distinct from (coalesce(n.metadata, e.metadata), n.event_type, n.event_timestamp)
      and n.metadata is not null;
    insert into merged_rows (table_name, merged_id, survivor_id, row_before)
    select 'contact_interaction_events', w.merged::text, w.survivor::text, to_jsonb(e)
    from unnest(v_merged, v_survivors) w (merged, survivor)
    join contact_interaction_events e on e.id = w.merged;
    delete from contact_interaction_events e where e.id = any (v_merged);
    return cardinality(v_found);
end
$$;

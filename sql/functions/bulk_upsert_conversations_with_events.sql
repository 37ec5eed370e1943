-- Merges conversations and their events, all or nothing, and returns what became of each
-- conversation. Repeating a call, or calling in another order, ends in the same rows.
--
-- p_conversations: [{sender_id, sender_name?, as_of, events: [{event_type, event_timestamp,
--   message_id?, discriminator?, as_of?, metadata}]}], one object per sender_id. as_of is when the
--   source stated this; of an event it defaults to the conversation's.
-- p_fence: the token of the page's lease (MPL01 if it is lost); NULL for callers that need none.
--
-- Locks: conversations in order of sender_id, new ones first, then events; two calls over
-- overlapping batches wait for each other but never in a circle. Only where one message is told
-- of two contacts can they: then one of the calls fails with 40P01 and is to be repeated. What a
-- statement reads of rows that others write it reads after it locked them, in another statement.
create or replace function bulk_upsert_conversations_with_events(
    p_page_id text, p_conversations jsonb, p_fence bigint default null
) returns table (
    sender_id text, conversation_id uuid, inserted boolean, updated boolean,
    version integer, events_created integer
)
language plpgsql
set search_path from current
-- A plan made while the tables were empty must not read them whole when they are full. (Planning
-- anew each time would do, too, but it holds for the foreign key's check of each event as well.)
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_senders text[];
    v_ids uuid[];  -- of v_senders, in the same order
    v_new uuid[];
    v_created jsonb;
    v_missed boolean;
    v_prefix text := id_prefix();
    v_changeable text[];
    v_changed uuid[] := '{}';
    v_changed_as_of timestamptz[] := '{}';
begin
    if p_fence is not null then
        perform check_fence(p_page_id, p_fence);
    end if;

    with added as (
        insert into messenger_conversations (id, page_id, sender_id, user_id, updated_at)
        select (v_prefix || lpad(to_hex(row_number() over ()), 8, '0'))::uuid, p_page_id, i.sender_id,
               (select p.user_id from facebook_pages p where p.facebook_page_id = p_page_id),
               now()
        from jsonb_to_recordset(p_conversations) as i (sender_id text, events jsonb)
        where jsonb_array_length(i.events) > 0
        order by i.sender_id collate "C"
        on conflict (page_id, sender_id) do nothing
        returning id
    )
    select coalesce(array_agg(id), '{}') into v_new from added;

    -- Row by row, by the unique index: while a page is first loaded the statistics know nothing of
    -- it, and any join by page_id would read all of the page for every response.
    select coalesce(array_agg(i.sender_id), '{}'), coalesce(array_agg(locked.id), '{}')
    into v_senders, v_ids
    from (
        select sender_id from jsonb_to_recordset(p_conversations) as r (sender_id text)
        order by sender_id collate "C"
    ) i
    cross join lateral (
        select c.id from messenger_conversations c
        where c.page_id = p_page_id and c.sender_id = i.sender_id
        for no key update
    ) locked;

    -- New events. What is there already is left alone here, so that unchanged costs no write.
    with incoming as materialized (
        select k.conversation_id, e.event_type, e.event_timestamp, e.message_id,
               coalesce(e.discriminator, '') as discriminator,
               coalesce(e.as_of, i.as_of) as as_of,
               case when e.metadata ? 'unsent_at' then e.metadata - content_keys()
                    else coalesce(e.metadata, '{}') end as metadata,
               (v_prefix || lpad(to_hex(row_number() over ()), 8, '0'))::uuid as id
        from jsonb_to_recordset(p_conversations) as i (sender_id text, as_of timestamptz, events jsonb)
        join unnest(v_senders, v_ids) as k (sender_id, conversation_id) using (sender_id)
        cross join lateral jsonb_to_recordset(i.events) as e (
            event_type text, event_timestamp timestamptz, message_id text, discriminator text,
            as_of timestamptz, metadata jsonb)
    ), messages_added as (
        insert into contact_interaction_events
            (id, conversation_id, page_id, event_type, event_timestamp, message_id, discriminator,
             as_of, metadata)
        select id, conversation_id, p_page_id, event_type, event_timestamp, message_id,
               discriminator, as_of, metadata
        from incoming where message_id is not null
        -- Naming the index spares a look into every other one.
        on conflict (
            page_id,
            (case when message_id like 'm\_mid.%' then substr(message_id, 3) else message_id end),
            (split_part(event_type, '_', 1)),
            discriminator
        ) where message_id is not null do nothing
        returning conversation_id, event_type
    ), others_added as (
        insert into contact_interaction_events
            (id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
             metadata)
        select id, conversation_id, p_page_id, event_type, event_timestamp, discriminator, as_of,
               metadata
        from incoming where message_id is null
        on conflict (conversation_id, event_type, event_timestamp, discriminator)
            where message_id is null do nothing
        returning conversation_id, event_type
    ), counted as (
        select conversation_id, count(*) as events,
               count(*) filter (where split_part(event_type, '_', 1) = 'message') as messages
        from (select * from messages_added union all select * from others_added) added
        group by conversation_id
    )
    select (select jsonb_object_agg(conversation_id, jsonb_build_array(events, messages))
            from counted),
           (select count(*) from incoming) > (select coalesce(sum(events), 0) from counted)
    into v_created, v_missed;
    v_created := coalesce(v_created, '{}');

    if v_missed then
        -- A message may be stored in the conversation of another contact (several wrote in one
        -- thread). That one is locked before its events are read, as every writer of them does.
        perform from messenger_conversations c
        where c.id in (
            select stored.conversation_id
            from jsonb_to_recordset(p_conversations) as i (events jsonb)
            cross join lateral jsonb_to_recordset(i.events) as e (event_type text, message_id text)
            cross join lateral (
                select s.conversation_id from contact_interaction_events s
                where s.page_id = p_page_id and s.message_id is not null
                  and (case when s.message_id like 'm\_mid.%' then substr(s.message_id, 3)
                            else s.message_id end)
                      = (case when e.message_id like 'm\_mid.%' then substr(e.message_id, 3)
                              else e.message_id end)
                limit 1
            ) stored
            where stored.conversation_id <> all (v_ids))
        order by c.sender_id for no key update;
        select coalesce(array_agg(m.conversation_id), '{}'), coalesce(array_agg(m.as_of), '{}')
        into v_changed, v_changed_as_of
        from merge_stored_events(p_page_id, p_conversations) m;
        -- Every event of a new conversation may belong to another one already (a thread with
        -- several contacts): then there is nothing to show, and no conversation.
        delete from messenger_conversations c
        where c.id = any (v_new) and not v_created ? c.id::text;
    end if;

    if exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is not null
          and e.event_type in ('edit', 'unsend'))
    then
        -- The messages told of here that were edited or unsent, now or before.
        select array_agg(distinct m.message_id) into v_changeable
        from jsonb_to_recordset(p_conversations) as i (events jsonb)
        cross join lateral jsonb_to_recordset(i.events) as e (message_id text)
        cross join lateral (
            select case when e.message_id like 'm\_mid.%' then substr(e.message_id, 3)
                        else e.message_id end as message_id
        ) m
        where exists (
            select from contact_interaction_events s
            where s.page_id = p_page_id and s.message_id is not null
              and (case when s.message_id like 'm\_mid.%' then substr(s.message_id, 3)
                        else s.message_id end) = m.message_id
              and s.event_type in ('edit', 'unsend'));
    end if;
    if v_changeable is not null then
        -- Whose edit is told in one conversation may have its message in another.
        perform from messenger_conversations c
        where c.id in (
            select stored.conversation_id
            from unnest(v_changeable) as m (message_id)
            cross join lateral (
                select s.conversation_id from contact_interaction_events s
                where s.page_id = p_page_id and s.message_id is not null
                  and (case when s.message_id like 'm\_mid.%' then substr(s.message_id, 3)
                            else s.message_id end) = m.message_id
                  and split_part(s.event_type, '_', 1) = 'message' and s.discriminator = ''
                limit 1
            ) stored
            where stored.conversation_id <> all (v_ids))
        order by c.sender_id for no key update;
        select v_changed || coalesce(array_agg(a.conversation_id), '{}'),
               v_changed_as_of || coalesce(array_agg(a.as_of), '{}')
        into v_changed, v_changed_as_of
        from merge_changes(p_page_id, v_changeable) a;
    end if;

    if exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is null
          and split_part(e.event_type, '_', 1) = 'message')
    then
        update messenger_conversations c
        set message_count = c.message_count - g.claimed
        from claim_anonymous_messages(p_page_id, v_ids) g
        where c.id = g.conversation_id;
    end if;

    return query
    with stated as (
        select c.id, c.version,
               coalesce((v_created -> c.id::text ->> 0)::integer, 0) as events,
               c.message_count + coalesce((v_created -> c.id::text ->> 1)::integer, 0) as message_count,
               case when i.sender_name is not null
                     and (c.sender_name_as_of is null
                          or (i.as_of, i.sender_name collate "C")
                             > (c.sender_name_as_of, c.sender_name collate "C"))
                    then i.sender_name else c.sender_name end as sender_name,
               i.as_of,
               -- Only a fact later than deleted_at revives.
               case when greatest(i.as_of, l.event_timestamp) > c.deleted_at
                    then 'active' else c.conversation_status end as conversation_status,
               m.text as last_message,
               l.event_timestamp as last_message_time
        from (
            select k.conversation_id, i.sender_name, i.as_of
            from jsonb_to_recordset(p_conversations)
                as i (sender_id text, sender_name text, as_of timestamptz)
            join unnest(v_senders, v_ids) as k (sender_id, conversation_id) using (sender_id)
            union all
            -- The last message of another contact's conversation may have changed with its events.
            select o.id, null, max(o.as_of) from unnest(v_changed, v_changed_as_of) as o (id, as_of)
            where o.id <> all (v_ids) group by o.id
        ) i
        join messenger_conversations c on c.id = i.conversation_id
        left join lateral (
            -- By the index, whatever the statistics say: the time first, then who of that time.
            select e.event_timestamp from contact_interaction_events e
            where e.conversation_id = c.id and split_part(e.event_type, '_', 1) = 'message'
              and not e.metadata ? 'unsent_at'
            order by e.event_timestamp desc
            limit 1
        ) l on true
        left join lateral (
            select coalesce(e.metadata ->> 'text', '') as text
            from contact_interaction_events e
            where e.conversation_id = c.id and e.event_timestamp = l.event_timestamp
              and split_part(e.event_type, '_', 1) = 'message' and not e.metadata ? 'unsent_at'
            order by case when e.message_id like 'm\_mid.%' then substr(e.message_id, 3)
                          else e.message_id end desc
            limit 1
        ) m on true
    ), changed as (
        update messenger_conversations c
        set sender_name = s.sender_name,
            sender_name_as_of = case when s.sender_name is distinct from c.sender_name
                                     then s.as_of else c.sender_name_as_of end,
            last_message = s.last_message,
            last_message_time = s.last_message_time,
            message_count = s.message_count,
            conversation_status = s.conversation_status,
            deleted_at = case when s.conversation_status = 'deleted' then c.deleted_at end,
            version = c.version + case when c.id = any (v_new) then 0 else 1 end,
            updated_at = now()
        from stated s
        where s.id = c.id
          and (s.sender_name, s.last_message, s.last_message_time, s.message_count,
               s.conversation_status)
              is distinct from
              (c.sender_name, c.last_message, c.last_message_time, c.message_count,
               c.conversation_status)
        returning c.id, c.version
    )
    select c.sender_id, c.id, c.id = any (v_new), ch.id is not null and c.id <> all (v_new),
           coalesce(ch.version, s.version), s.events
    from stated s
    join messenger_conversations c on c.id = s.id
    left join changed ch on ch.id = s.id;
end
$$;

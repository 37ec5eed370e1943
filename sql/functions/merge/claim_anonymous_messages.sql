-- Moves messages without an id to claimed_messages, and back. Such messages come from sources that
-- provide no ids. A message with an id claims one of those of its conversation that have the same
-- direction, second and text. An unsent one claims all of them, with any text that it ever had, which
-- their digests show. Returns {conversation_id: the change of its number of messages}.
--
-- The messages of a second are paired in a fixed order, so that the same messages end up claimed in
-- whatever order they arrive. What an unsent message claims stays claimed, without its content: so it
-- cannot leave some of them to other messages, whichever they are.
create or replace function :own.claim_anonymous_messages(p_page_id text, p_conversations :conversation_id_type[])
returns jsonb
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
as $$
declare
    v_counts jsonb;
begin
    -- Few pages have messages without an id.
    if not exists (
        select from contact_interaction_events e
        where e.page_id = p_page_id and e.message_id is null
          and event_kind(e.event_type) = 'message')
       and not exists (select from claimed_messages c where c.page_id = p_page_id)
    then
        return '{}';
    end if;
    with anonymous as materialized (
        select e.id, e.conversation_id, e.event_type, e.event_timestamp, e.discriminator,
               e.metadata ->> 'text' as text, null as claimed_by
        from (select distinct unnest(p_conversations) as id) k
        cross join lateral (
            select * from contact_interaction_events x
            where x.page_id = p_page_id and x.conversation_id = k.id
              and x.message_id is null and event_kind(x.event_type) = 'message'
            offset 0  -- forces a lookup per conversation instead of all of the page's
        ) e
        union all
        select c.id, c.conversation_id, c.event_type, c.event_timestamp, c.discriminator,
               c.metadata ->> 'text', c.claimed_by
        from (select distinct unnest(p_conversations) as id) k
        cross join lateral (
            select * from claimed_messages x
            where x.conversation_id = k.id and x.metadata is not null
            offset 0
        ) c
    ), groups as (
        select distinct conversation_id, event_type, text,
               date_trunc('second', event_timestamp) as second
        from anonymous
    ), named as (
        select g.conversation_id, g.event_type, g.second, g.text, n.message_key,
               row_number() over (
                   partition by g.conversation_id, g.event_type, g.second, g.text
                   order by n.is_unsent desc, n.message_key) as rank,
               bool_or(n.is_unsent) over (
                   partition by g.conversation_id, g.event_type, g.second, g.text) as claims_all
        from groups g
        cross join lateral (
            select message_key(n.message_id) as message_key, n.metadata ? 'unsent_at' as is_unsent
            from contact_interaction_events n
            where n.conversation_id = g.conversation_id and n.event_type = g.event_type
              and n.message_id is not null
              and n.event_timestamp >= g.second
              and n.event_timestamp < g.second + interval '1 second'
              and case when n.metadata ? 'unsent_at'
                  then exists (
                      select from unsent_texts u
                      where u.page_id = p_page_id and u.message_key = message_key(n.message_id)
                        and u.digest = text_digest(u.message_key, g.text))
                  else without_edit(n.metadata) ->> 'text' is not distinct from g.text end
            limit 1000  -- forces a lookup per group
        ) n
    ), paired as materialized (
        select a.*, n.message_key
        from (
            select a.*, date_trunc('second', a.event_timestamp) as second,
                   row_number() over (
                       partition by a.conversation_id, a.event_type,
                                    date_trunc('second', a.event_timestamp), a.text
                       order by a.event_timestamp, a.discriminator) as rank
            from anonymous a
        ) a
        left join named n
            on n.conversation_id = a.conversation_id and n.event_type = a.event_type
           and n.second = a.second and n.text is not distinct from a.text
           and n.rank = case when n.claims_all then 1 else a.rank end
    ), followed as materialized (
        select follow_claimed_events(p_page_id, array_agg(p.id), array_agg(p.message_key))
        from paired p where p.claimed_by is null and p.message_key is not null
    ), taken as (
        delete from contact_interaction_events e
        using paired p cross join followed  -- before foreign keys of the owner's act on it
        where e.id = p.id and p.claimed_by is null and p.message_key is not null
        returning e.*, p.message_key
    ), kept as (
        insert into claimed_messages
            (id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
             metadata, created_at, claimed_by)
        select id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
               metadata, created_at, message_key
        from taken
    ), moved as (
        update claimed_messages c set claimed_by = p.message_key
        from paired p where c.id = p.id and p.claimed_by <> p.message_key
    ), released as (
        delete from claimed_messages c
        using paired p
        where c.id = p.id and p.claimed_by is not null and p.message_key is null
        returning c.*
    ), restored as (
        insert into contact_interaction_events
            (id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
             metadata, created_at)
        overriding system value
        select id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of,
               metadata, created_at
        from released
    )
    select coalesce(jsonb_object_agg(conversation_id, change), '{}') into v_counts
    from (
        select conversation_id, sum(change) as change
        from (select conversation_id, -1 as change from taken
              union all select conversation_id, 1 from released) changes
        group by conversation_id
    ) counts;
    update claimed_messages c set metadata = null
    where c.conversation_id = any (p_conversations) and c.metadata is not null
      -- Not `exists`, which may become a join: that reads all messages of the page.
      and (
          select n.metadata ? 'unsent_at' from contact_interaction_events n
          where n.page_id = p_page_id and n.message_id is not null
            and message_key(n.message_id) = c.claimed_by
            and event_kind(n.event_type) = 'message' and n.discriminator = ''
          limit 1);
    return v_counts;
end
$$;

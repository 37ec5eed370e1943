-- Corrects the count and the last message of conversations from the stored events: those that a load
-- adds to are wrong if somebody deleted events by hand. Takes up to p_limit conversations of a page in
-- order of sender_id, after p_after. Returns the last sender_id; NULL if there are no more. MPL01 if
-- the lease is lost.
create or replace function :own.recount_conversations(
    p_page_id text, p_fence bigint, p_after text, p_limit integer
) returns text
language plpgsql security definer
set search_path from current
set enable_seqscan = off  -- see merge_conversations
set jit = off
as $$
declare
    v_ids :conversation_id_type[];
    v_last text;
begin
    perform check_fence(p_page_id, p_fence);
    -- Locked in one statement and read in a later one, like all rows that others write.
    select array_agg(c.id), max(c.sender_id) into v_ids, v_last
    from (
        select id, sender_id from messenger_conversations
        where page_id = p_page_id and sender_id > p_after
        order by sender_id limit p_limit for no key update
    ) c;
    update messenger_conversations c
    set message_count = n.message_count, last_message = n.last_message,
        last_message_time = n.last_message_time, version = c.version + 1, updated_at = now()
    from (
        select i.id, e.message_count, l.event_timestamp as last_message_time, l.text as last_message
        from unnest(v_ids) as i (id)
        cross join lateral (
            select count(*)::integer as message_count from contact_interaction_events e
            where e.conversation_id = i.id and event_kind(e.event_type) = 'message'
        ) e
        left join lateral (
            select e.event_timestamp, coalesce(e.metadata ->> 'text', '') as text
            from contact_interaction_events e
            where e.conversation_id = i.id and event_kind(e.event_type) = 'message'
              and not e.metadata ? 'unsent_at'
            order by e.event_timestamp desc, message_key(e.message_id) desc,
                     e.event_type collate "C" desc, e.discriminator desc
            limit 1
        ) l on true
    ) n
    where n.id = c.id
      -- The last message of an adopted conversation without events is not known from anywhere else.
      and not (n.message_count = 0 and exists (
          select from adopted_conversations a where a.conversation_id = c.id and not a.has_events))
      and (c.message_count, c.last_message, c.last_message_time)
          is distinct from (n.message_count, n.last_message, n.last_message_time);
    return v_last;
end
$$;

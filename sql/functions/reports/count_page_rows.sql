-- Returns the numbers of stored conversations and events of a page. Up to 100,000 each are counted, in
-- index-only scans; events without a message id in up to 20,000 conversations. A larger number is an estimate by PostgreSQL's statistics, and at least 100,000.
create or replace function :own.count_page_rows(p_page_id text)
returns table (conversations bigint, events bigint)
language sql stable security definer
set search_path from current
set enable_seqscan = off  -- the page can have most of the rows
set jit = off
as $$
    select case when c.counted < 100000 then c.counted
                else greatest(c.counted, estimate_page_rows('messenger_conversations'::regclass, p_page_id)) end,
           case when e.counted < 100000 then e.counted
                else greatest(e.counted,
                              estimate_page_rows(
                                  'contact_interaction_events'::regclass, p_page_id)) end
    from (
        select count(*) as counted
        from (select from messenger_conversations where page_id = p_page_id limit 100000) l
    ) c
    cross join (
        select count(*) as counted
        from (
            (select from contact_interaction_events
             where page_id = p_page_id and message_id is not null
             limit 100000)
            union all
            -- The index on their conversation finds events without a message id.
            (select from (select id from messenger_conversations
                          where page_id = p_page_id limit 20000) k
             cross join lateral (
                select from contact_interaction_events o
                where o.conversation_id = k.id and o.message_id is null
                offset 0) x)
            limit 100000
        ) l
    ) e
$$;

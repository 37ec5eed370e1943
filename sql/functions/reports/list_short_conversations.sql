-- Returns the pages with conversations that have clearly fewer messages stored than Meta counts:
-- fewer than p_share of them, and at least p_fewer fewer. Meta's counts are estimates.
-- Conversations known to be incomplete are left out: those with a gap, those still being walked,
-- those that are gone. all_short and all_compared are totals over all pages.
create or replace function :own.list_short_conversations(
    p_share double precision, p_fewer integer, p_limit integer default 20
) returns table (
    page_id text, conversations bigint, stored bigint, of_meta bigint, example text,
    all_short bigint, all_compared bigint
)
language sql stable security definer
set search_path from current
as $$
    -- A contact may have several threads: together they are one conversation.
    with counted as (
        select t.page_id, t.conversation_id, sum(t.message_count) as of_meta
        from messenger_threads t
        where t.conversation_id is not null
          and not exists (
              select from thread_gaps g
              where g.page_id = t.page_id and g.thread_id = t.thread_id)
        group by t.page_id, t.conversation_id
        having bool_and(t.message_count is not null and t.gone_at is null)
    ), compared as (
        select n.page_id, n.of_meta, c.message_count as stored, c.sender_id,
               c.message_count < n.of_meta * p_share
                   and c.message_count <= n.of_meta - p_fewer as short
        from counted n
        join messenger_conversations c on c.id = n.conversation_id
    ), pages as (
        select page_id, count(*) as compared, count(*) filter (where short) as short,
               sum(stored) filter (where short) as stored,
               sum(of_meta) filter (where short) as of_meta,
               min(sender_id) filter (where short) as example
        from compared
        group by page_id
    )
    select page_id, short, coalesce(stored, 0)::bigint, coalesce(of_meta, 0)::bigint, example,
           sum(short) over ()::bigint, sum(compared) over ()::bigint
    from pages
    order by short desc, page_id
    limit p_limit
$$;

-- Adds webhook items to the hourly counts of their pages. Call it last in a transaction: until the
-- transaction ends no other one can count items of these pages.
--
-- p_received: [{page_id, items, received, sent, reactions, first_at, last_at}], one element for each
--   page and hour in which its deliveries were received. received, sent: messages of contacts, and of
--   the page.
create or replace function :own.count_webhook_items(p_received jsonb)
returns void
language sql
set search_path from current
as $$
    insert into webhook_hourly_counts as h
        (page_id, hour, deliveries, received, sent, reactions, first_at, last_at)
    select r.page_id, date_trunc('hour', r.first_at, 'UTC'), r.items,
           coalesce(r.received, 0), coalesce(r.sent, 0), coalesce(r.reactions, 0), r.first_at, r.last_at
    from jsonb_to_recordset(p_received) as r (
        page_id text collate "C", items integer, received integer, sent integer, reactions integer,
        first_at timestamptz, last_at timestamptz)
    -- In a fixed order, so that two drains do not deadlock.
    order by 1, 2
    on conflict (page_id, hour) do update
        set deliveries = h.deliveries + excluded.deliveries,
            received = h.received + excluded.received, sent = h.sent + excluded.sent,
            reactions = h.reactions + excluded.reactions,
            first_at = least(h.first_at, excluded.first_at),
            last_at = greatest(h.last_at, excluded.last_at)
$$;

-- The pages of the registry, with counts of stored rows and figures of their syncs.
create or replace view :data.sync_statistics as
select
    p.facebook_page_id as page_id,
    p.name as page_name,
    p.status,
    p.status_reason,
    p.last_synced_at,
    p.watermark,
    coalesce(c.conversations, 0) as conversations,
    coalesce(c.messages, 0) as messages,
    coalesce(s.sessions, 0) as sessions,
    coalesce(s.completed, 0) as completed_sessions,
    coalesce(s.open, 0) as open_sessions,
    coalesce(s.total_synced, 0) as total_synced,
    coalesce(s.events_created, 0) as events_created,
    s.average_seconds,
    coalesce(g.gaps, 0) as open_gaps,
    coalesce(q.records, 0) as quarantined,
    p.platform
from facebook_pages p
left join (
    select page_id, count(*) as conversations, sum(message_count) as messages
    from messenger_conversations group by page_id
) c on c.page_id = p.facebook_page_id
left join (
    select page_id,
           count(*) as sessions,
           count(*) filter (where is_complete) as completed,
           count(*) filter (where outcome is null) as open,
           sum(total_synced) as total_synced,
           sum(events_created) as events_created,
           -- Working time only: a session also waits for its runs.
           round(avg(worked_seconds::numeric) filter (where is_complete), 1) as average_seconds
    from sync_state group by page_id
) s on s.page_id = p.facebook_page_id
left join (
    select page_id, count(*) as gaps from thread_gaps where not unreadable group by page_id
) g on g.page_id = p.facebook_page_id
left join (
    select page_id, count(*) as records
    from quarantined_records where resolved_at is null group by page_id
) q on q.page_id = p.facebook_page_id;

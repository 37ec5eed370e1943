-- Returns the pages that are not removed, ordered by Facebook's id.
create or replace function :own.list_pages()
returns table (
    id text, facebook_page_id text, platform text, user_id text, name text, time_zone text,
    token_encrypted text, status text, status_reason text, sync_interval interval,
    next_sync_at timestamptz, last_synced_at timestamptz, watermark timestamptz,
    created_at timestamptz, updated_at timestamptz, failed_starts integer, graph_id text,
    username text, other_ids text[]
)
language sql stable security definer
set search_path from current
as $$
    select p.id::text, p.facebook_page_id, p.platform, p.user_id::text, p.name, p.time_zone,
           t.token_encrypted, p.status, p.status_reason, p.sync_interval, p.next_sync_at,
           p.last_synced_at, p.watermark, p.created_at, p.updated_at, p.failed_starts,
           coalesce(p.graph_id, p.facebook_page_id), p.username, list_other_ids(p.facebook_page_id)
    from facebook_pages p
    left join page_tokens t on t.page_id = p.facebook_page_id
    where p.status <> 'removed'
    order by p.facebook_page_id
$$;

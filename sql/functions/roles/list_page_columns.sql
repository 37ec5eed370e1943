-- Returns the columns of facebook_pages that are ours, none of which holds a token.
create or replace function :own.list_page_columns()
returns text[]
language sql immutable
set search_path from current
as $$
    select array[
        'id', 'facebook_page_id', 'platform', 'user_id', 'name', 'time_zone', 'status',
        'status_reason', 'sync_interval', 'next_sync_at', 'last_synced_at', 'watermark',
        'failed_starts', 'created_at', 'updated_at', 'graph_id', 'username']
$$;

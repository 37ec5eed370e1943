-- Returns the active pages that are due for an incremental sync, longest due first. One that is due
-- later than in twice its interval got that time before the clock was set back.
create or replace function :own.list_due_pages()
returns setof text
language sql stable security definer
set search_path from current
as $$
    select facebook_page_id from facebook_pages
    where status = 'active'
      and (next_sync_at <= now() or next_sync_at > now() + 2 * sync_interval)
    order by next_sync_at, facebook_page_id
$$;

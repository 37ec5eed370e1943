-- Returns the active pages that are due for an incremental sync, longest due first.
create or replace function :own.list_due_pages()
returns setof text
language sql stable
set search_path from current
as $$
    select facebook_page_id from facebook_pages
    where status = 'active' and next_sync_at <= now()
    order by next_sync_at, facebook_page_id
$$;

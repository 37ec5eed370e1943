-- Makes a page due again at its interval: a page whose syncs fail is not due at every look.
create or replace function postpone_next_sync(p_page_id text)
returns void
language sql
set search_path from current
as $$
    update facebook_pages set next_sync_at = now() + sync_interval
    where facebook_page_id = p_page_id
$$;

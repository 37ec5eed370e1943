-- Makes a page due again after its sync interval, so that a page whose syncs fail is not due all
-- the time. It is the first step of each run, and therefore counts failed starts: runs since which
-- no session of the page has moved.
create or replace function :own.postpone_next_sync(p_page_id text)
returns void
language sql security definer
set search_path from current
as $$
    update facebook_pages
    set failed_starts = case
            when find_last_activity(p_page_id) >= next_sync_at - sync_interval then 1
            else failed_starts + 1 end,
        next_sync_at = now() + sync_interval
    where facebook_page_id = p_page_id
$$;

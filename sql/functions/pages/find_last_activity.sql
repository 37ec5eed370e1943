-- Returns the time of the last activity of a page: of its open and its latest sync sessions, or the
-- last change of its row, which a completed sync makes too.
create or replace function :own.find_last_activity(p_page_id text)
returns timestamptz
language sql stable
set search_path from current
as $$
    select greatest(
        (select p.updated_at from facebook_pages p where p.facebook_page_id = p_page_id),
        (select max(s.updated_at) from sync_state s
         where s.page_id = p_page_id and s.outcome is null),
        (select s.updated_at from sync_state s
         where s.page_id = p_page_id order by s.started_at desc limit 1))
$$;

-- Returns whether Meta refused the list of the page in the session that ended last.
create or replace function :own.was_list_refused(p_page_id text)
returns boolean
language sql stable security definer
set search_path from current
as $$
    select coalesce((
        select s.list_refused from sync_state s
        where s.page_id = p_page_id and s.outcome in ('completed', 'truncated')
        order by s.ended_at desc limit 1), false)
$$;

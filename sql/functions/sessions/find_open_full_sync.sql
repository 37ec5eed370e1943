-- Returns how the page's open full sync goes on: 'parked' or 'continued'; NULL if none is open.
create or replace function :own.find_open_full_sync(p_page_id text)
returns text
language sql stable security definer
set search_path from current
as $$
    select (
        select case when s.parked_at is not null then 'parked' else 'continued' end
        from sync_state s
        where s.page_id = p_page_id and s.mode = 'full' and s.outcome is null)
$$;

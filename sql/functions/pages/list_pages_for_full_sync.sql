-- Returns the active pages that have no full walk open. One that a person cancelled does not count:
-- nobody may ever resume it.
create or replace function :own.list_pages_for_full_sync()
returns setof text
language sql stable security definer
set search_path from current
as $$
    select p.facebook_page_id from facebook_pages p
    where p.status = 'active'
      and not exists (select from sync_state s where s.page_id = p.facebook_page_id
                      and s.mode = 'full' and s.outcome is null and s.parked_at is null)
    order by p.facebook_page_id
$$;

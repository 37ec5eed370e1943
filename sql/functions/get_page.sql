-- A page by Facebook's page id or by the registry's id.
create or replace function get_page(p_page_id text)
returns setof facebook_pages
language sql stable
set search_path from current
as $$
    select * from facebook_pages where facebook_page_id = p_page_id or id::text = lower(p_page_id)
$$;

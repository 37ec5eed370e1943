-- Returns the accounts that an id can stand for, removed ones too: a Facebook page's id stands for
-- the page's inbox and for that of its Instagram account.
create or replace function :own.find_pages(p_id text)
returns setof text
language sql stable security definer
set search_path from current
as $$
    select p.facebook_page_id from facebook_pages p
    where p.facebook_page_id = p_id or p.graph_id = p_id or p.id::text in (p_id, lower(p_id))
    union
    select a.page_id from account_ids a where a.id = p_id
    order by 1
$$;

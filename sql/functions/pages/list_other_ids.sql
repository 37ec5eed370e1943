-- Returns the other ids of an account: whoever has one of them is the account.
create or replace function :own.list_other_ids(p_page_id text)
returns text[]
language sql stable
set search_path from current
as $$
    select array(
        select p.graph_id from facebook_pages p
        where p.facebook_page_id = p_page_id and p.graph_id <> p_page_id
        union
        select a.id from account_ids a where a.page_id = p_page_id
        order by 1)
$$;

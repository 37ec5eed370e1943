-- Returns the registered accounts that webhooks name by these ids. An id can stand for two accounts: a
-- page and its Instagram account.
--
-- is_page: whether Meta listed the account's Messenger inbox, so that its id is certainly a page's.
create or replace function :own.find_registered_pages(p_ids text[])
returns table (id text, platform text, page_id text, graph_id text, other_ids text[],
               is_page boolean)
language sql stable security definer
set search_path from current
as $$
    select requested.id, p.platform, p.facebook_page_id,
           coalesce(p.graph_id, p.facebook_page_id), list_other_ids(p.facebook_page_id),
           p.platform = 'messenger' and p.watermark is not null
    from unnest(p_ids) as requested (id)
    cross join lateral (
        select requested.id as page_id
        union select g.facebook_page_id from facebook_pages g where g.graph_id = requested.id
        union select a.page_id from account_ids a where a.id = requested.id) named
    cross join lateral (
        select * from facebook_pages f
        where f.facebook_page_id = named.page_id and f.status <> 'removed'
        limit 1  -- forces a lookup per account
    ) p
$$;

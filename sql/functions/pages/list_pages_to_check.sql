-- Returns up to p_limit active pages whose token and subscription are due for a check: the last one
-- was a day ago, or an hour ago if it failed in part, or the current token was never checked. Those
-- that were never checked come first. With p_page_id returns that page, due or not, if it is
-- active.
create or replace function :own.list_pages_to_check(
    p_page_id text default null, p_limit integer default 200
) returns setof text
language sql stable security definer
set search_path from current
as $$
    select p.facebook_page_id
    from facebook_pages p
    join page_tokens t on t.page_id = p.facebook_page_id
    left join page_checks c
        on c.page_id = p.facebook_page_id and c.token_digest = md5(t.token_encrypted)
    where p.status = 'active'
      and case when p_page_id is not null then p.facebook_page_id = p_page_id
               else c.checked_at is null or c.checked_at < now() - case
                   when c.error is null then interval '1 day' else interval '1 hour' end end
    order by c.checked_at nulls first, p.facebook_page_id
    limit p_limit
$$;

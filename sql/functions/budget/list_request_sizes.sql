-- Returns the sizes of a page's requests that Meta answered after it had refused larger ones.
create or replace function :own.list_request_sizes(p_page_id text)
returns table (request text, size_limit integer, nested_limit integer, patience integer)
language sql stable security definer
set search_path from current
as $$
    select s.request, s.size_limit, s.nested_limit, s.patience
    from request_sizes s where s.page_id = p_page_id
$$;

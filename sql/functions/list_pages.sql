create or replace function list_pages()
returns setof facebook_pages
language sql stable
set search_path from current
as $$
    select * from facebook_pages where status <> 'removed' order by facebook_page_id
$$;

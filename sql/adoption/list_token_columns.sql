-- The columns of the registry in which the replaced application keeps access tokens.
create or replace function :own.list_token_columns()
returns setof text
language sql stable
set search_path from current
as $$
    select column_name from list_table_columns()
    where table_name = 'facebook_pages' and column_name ~ '(^|_)token$'
      and type in ('text', 'character varying')
    order by column_name <> 'page_access_token', column_name <> 'access_token', column_name
$$;

-- The tokens that stand in the clear in the registry, of pages that have none encrypted, but were not
-- removed.
create or replace function :own.list_plain_tokens()
returns table (page_id text, token text)
language plpgsql stable
set search_path from current
as $$
declare
    v_columns text := (select string_agg(format('nullif(f.%I, '''')', c), ', ')
                       from list_token_columns() c);
begin
    if v_columns is null then
        return;
    end if;
    return query execute format(
        'select f.facebook_page_id, coalesce(%1$s) from facebook_pages f'
        ' where coalesce(%1$s) is not null and f.status <> ''removed'''
        ' and not exists (select from page_tokens t where t.page_id = f.facebook_page_id)'
        ' order by 1', v_columns);
end
$$;

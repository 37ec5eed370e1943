-- The tokens that stand in the clear in the registry, with their digests: of pages that were not
-- removed, and have none encrypted, or an earlier one that was taken over from there.
create or replace function :own.list_plain_tokens()
returns table (page_id text, token text, digest text)
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
        'select f.facebook_page_id, p.token, p.digest from facebook_pages f'
        ' cross join lateral (select coalesce(%1$s)::text as token,'
        '                            digest_of(coalesce(%1$s)::text) as digest) p'
        ' where p.token is not null and f.status <> ''removed'''
        ' and not exists (select from page_tokens t where t.page_id = f.facebook_page_id'
        '                 and coalesce(t.adopted_digest, p.digest) = p.digest)'
        ' order by 1', v_columns);
end
$$;

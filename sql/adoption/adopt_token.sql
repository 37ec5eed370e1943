-- Stores a page's encrypted token, unless it has one.
create or replace function :own.adopt_token(p_page_id text, p_token_encrypted text)
returns void
language sql
set search_path from current
as $$
    insert into page_tokens (page_id, token_encrypted) values (p_page_id, p_token_encrypted)
    on conflict do nothing
$$;

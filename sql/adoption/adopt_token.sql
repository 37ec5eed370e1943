-- Stores a page's encrypted token, as list_plain_tokens returns it. A page whose token had been refused
-- is active again.
create or replace function :own.adopt_token(
    p_page_id text, p_token_encrypted text, p_digest text
) returns void
language sql
set search_path from current
as $$
    insert into page_tokens as t (page_id, token_encrypted, adopted_digest)
    values (p_page_id, p_token_encrypted, p_digest)
    on conflict (page_id) do update
        set token_encrypted = excluded.token_encrypted, adopted_digest = excluded.adopted_digest,
            updated_at = now(), refused_at = null, refused_as = null;
    update facebook_pages
    set status = 'active', status_reason = null, next_sync_at = now(), updated_at = now()
    where facebook_page_id = p_page_id and status = 'needs_reauthorization';
    delete from page_refusals where page_id = p_page_id;
$$;

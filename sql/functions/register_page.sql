-- Adds a page to the registry, or gives a known one a new token, which makes it active again.
-- A NULL name or user leaves what is known.
create or replace function register_page(
    p_page_id text, p_name text, p_user_id text, p_platform text, p_token_encrypted text
) returns setof facebook_pages
language sql
set search_path from current
as $$
    insert into facebook_pages as p
        (facebook_page_id, name, user_id, platform, access_token_encrypted)
    values (p_page_id, p_name, p_user_id, p_platform, p_token_encrypted)
    on conflict (facebook_page_id) do update
        set name = coalesce(excluded.name, p.name),
            user_id = coalesce(excluded.user_id, p.user_id),
            platform = excluded.platform,
            access_token_encrypted = excluded.access_token_encrypted,
            status = 'active', status_reason = null, next_sync_at = now(), updated_at = now()
    returning *
$$;

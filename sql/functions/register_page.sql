-- Adds a page to the registry, or gives a known one a new token, which makes it active again.
-- A NULL name, user or platform leaves what is known. A paused page stays paused. Webhook
-- deliveries that wait for the page are to be applied now, and its open syncs are late from now on.
create or replace function register_page(
    p_page_id text, p_name text, p_user_id text, p_platform text, p_token_encrypted text
) returns setof facebook_pages
language plpgsql
set search_path from current
as $$
begin
    -- After everybody who found the page missing has left word of what waits for it.
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.register_page'));
    return query
    insert into facebook_pages as p
        (facebook_page_id, name, user_id, platform, access_token_encrypted)
    values (p_page_id, p_name, p_user_id, coalesce(p_platform, 'messenger'), p_token_encrypted)
    on conflict (facebook_page_id) do update
        set name = coalesce(excluded.name, p.name),
            user_id = coalesce(excluded.user_id, p.user_id),
            platform = coalesce(p_platform, p.platform),
            access_token_encrypted = excluded.access_token_encrypted,
            status = case when p.status = 'paused' then 'paused' else 'active' end,
            status_reason = null, next_sync_at = now(), updated_at = now()
    returning *;
    update sync_state s
    set not_before = greatest(s.not_before, now())
    where s.page_id = p_page_id and s.outcome is null;
    update webhook_inbox
    set not_before = now(), waiting_for = null
    where waiting_for @> array[p_page_id] and state = 'pending';
end
$$;

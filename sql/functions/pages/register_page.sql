-- Adds a page to the registry, or gives a known page a new token, which makes it active again. A
-- paused page stays paused. A NULL name, user or platform keeps the stored one. Webhook deliveries
-- that wait for the page become due. Its open syncs count as overdue from now on only.
create or replace function :own.register_page(
    p_page_id text, p_name text, p_user_id text, p_platform text, p_token_encrypted text
) returns void
language plpgsql
set search_path from current
as $$
begin
    -- Waits for every transaction that found the page missing: its deliveries must be visible.
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.register_page'));
    insert into facebook_pages as p (facebook_page_id, name, user_id, platform)
    values (p_page_id, p_name, p_user_id, coalesce(p_platform, 'messenger'))
    on conflict (facebook_page_id) do update
        set name = coalesce(excluded.name, p.name),
            user_id = coalesce(excluded.user_id, p.user_id),
            platform = coalesce(p_platform, p.platform),
            status = case when p.status = 'paused' then 'paused' else 'active' end,
            status_reason = null, next_sync_at = now(), updated_at = now();
    insert into page_tokens as t (page_id, token_encrypted)
    values (p_page_id, p_token_encrypted)
    on conflict (page_id) do update
        set token_encrypted = excluded.token_encrypted, updated_at = now(),
            refused_at = null, refused_as = null;
    -- The new token is tried at once, even if Meta refuses the app's calls.
    delete from page_refusals where page_id = p_page_id;
    delete from graph_api_budget where scope like 'refused:%';
    update sync_state s
    set not_before = greatest(s.not_before, now())
    where s.page_id = p_page_id and s.outcome is null;
    update webhook_inbox
    set not_before = now(), waiting_for = null
    where waiting_for @> array[p_page_id] and state = 'pending';
end
$$;

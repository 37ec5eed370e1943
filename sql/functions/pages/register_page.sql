-- Adds an account to the registry, or gives a known one a new token, which makes it active again. A
-- paused page stays paused. A NULL name, user, platform, p_graph_id or p_username keeps the stored
-- one. Webhook deliveries that wait for one of its ids become due. Its open syncs count as overdue
-- from now on only.
--
-- p_page_id: the id that the account has in answers and webhooks.
-- p_graph_id: the id that the Graph API is called with, if it is another one.
create or replace function :own.register_page(
    p_page_id text, p_name text, p_user_id text, p_platform text, p_token_encrypted text,
    p_graph_id text default null, p_username text default null
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_user_id :page_user_type;
begin
    begin
        v_user_id := :to_page_user(p_user_id);
    exception when invalid_text_representation or numeric_value_out_of_range then
        raise exception 'The page''s owner cannot be "%": ids of owners (facebook_pages.user_id) are of the type :page_user_type in this database.',
            p_user_id;
    end;
    perform commit_durably();
    -- Waits for every transaction that found the page missing: its deliveries must be visible.
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.register_page'));
    insert into facebook_pages as p
        (facebook_page_id, name, user_id, platform, graph_id, username)
    values (p_page_id, p_name, v_user_id, coalesce(p_platform, 'messenger'), p_graph_id,
            p_username)
    on conflict (facebook_page_id) do update
        set name = coalesce(excluded.name, p.name),
            user_id = coalesce(excluded.user_id, p.user_id),
            platform = coalesce(p_platform, p.platform),
            graph_id = coalesce(excluded.graph_id, p.graph_id),
            username = coalesce(excluded.username, p.username),
            status = case when p.status = 'paused' then 'paused' else 'active' end,
            status_reason = null, next_sync_at = now(), updated_at = now();
    insert into page_tokens as t (page_id, token_encrypted)
    values (p_page_id, p_token_encrypted)
    on conflict (page_id) do update
        set token_encrypted = excluded.token_encrypted, updated_at = now(),
            refused_at = null, refused_as = null, adopted_digest = null;
    -- The new token is tried at once, even if Meta refuses the app's calls.
    delete from page_refusals where page_id = p_page_id;
    delete from graph_api_budget where scope like 'refused:%';
    -- Calls with a page's id return the messages of the Instagram account that it is connected to
    -- now. Another one was connected before, or an earlier release registered it by the page's id.
    update facebook_pages p
    set status = 'removed', updated_at = now(),
        status_reason = format('page %s is connected to Instagram account %s', p_graph_id, p_page_id)
    where p.platform = 'instagram' and p.facebook_page_id <> p_page_id
      and coalesce(p.graph_id, p.facebook_page_id) = p_graph_id and p.status <> 'removed';
    delete from page_tokens t
    using facebook_pages p
    where p.facebook_page_id = t.page_id and p.status = 'removed'
      and coalesce(p.graph_id, p.facebook_page_id) = p_graph_id;
    update sync_state s
    set not_before = greatest(s.not_before, now())
    where s.page_id = p_page_id and s.outcome is null;
    update webhook_inbox
    set not_before = now(), waiting_for = null
    where waiting_for && (list_other_ids(p_page_id) || p_page_id) and state = 'pending';
end
$$;

-- Records what Meta reported about a page's token and subscription. Returns false and changes
-- nothing if the page has another token by now, or is not active.
--
-- p_check: {token_valid, token_expires_at, data_access_expires_at, scopes, subscribed,
--   subscribed_fields, error}. A null was not reported: an earlier value for the same token stays.
-- p_dead: why Meta rejects the token. One answer proves nothing: the page is marked as needing
--   re-authorization once another refusal, of a check or a sync, a minute or more before is still
--   without an answer in between (see mark_for_reauthorization). Until then the check counts as
--   failed, and is due again in an hour.
create or replace function :own.record_page_check(
    p_page_id text, p_token_encrypted text, p_check jsonb, p_dead text default null
) returns boolean
language plpgsql security definer
set search_path from current
as $$
begin
    perform commit_durably();
    perform from facebook_pages p
    join page_tokens t on t.page_id = p.facebook_page_id
    where p.facebook_page_id = p_page_id and p.status = 'active'
      and t.token_encrypted = p_token_encrypted
    for no key update of p, t;
    if not found then
        return false;
    end if;
    insert into page_checks as c
        (page_id, token_digest, checked_at, token_valid, token_expires_at, data_access_expires_at,
         scopes, subscribed, subscribed_fields, ever_subscribed, subscribed_since, error)
    select p_page_id, md5(p_token_encrypted), now(), n.token_valid, n.token_expires_at,
           n.data_access_expires_at, n.scopes, n.subscribed, n.subscribed_fields,
           coalesce(n.subscribed, false), case when n.subscribed then now() end,
           coalesce(n.error, p_dead)
    from jsonb_to_record(p_check) as n (
        token_valid boolean, token_expires_at timestamptz, data_access_expires_at timestamptz,
        scopes text[], subscribed boolean, subscribed_fields text[], error text)
    on conflict (page_id) do update
        set token_digest = excluded.token_digest, checked_at = excluded.checked_at,
            token_valid = case when excluded.token_valid is null
                    and c.token_digest = excluded.token_digest
                then c.token_valid else excluded.token_valid end,
            -- If the token was checked, a null is a result: it never expires.
            token_expires_at = case when excluded.token_valid is null
                    and c.token_digest = excluded.token_digest
                then c.token_expires_at else excluded.token_expires_at end,
            data_access_expires_at = case when excluded.token_valid is null
                    and c.token_digest = excluded.token_digest
                then c.data_access_expires_at else excluded.data_access_expires_at end,
            scopes = coalesce(excluded.scopes, c.scopes),
            subscribed = coalesce(excluded.subscribed, c.subscribed),
            subscribed_fields = case when excluded.subscribed is null
                then c.subscribed_fields else excluded.subscribed_fields end,
            ever_subscribed = c.ever_subscribed or excluded.ever_subscribed,
            subscribed_since = case when excluded.subscribed is null or excluded.subscribed
                then coalesce(c.subscribed_since, excluded.subscribed_since) end,
            error = excluded.error;
    if p_dead is not null then
        update facebook_pages p
        set status = 'needs_reauthorization', status_reason = p_dead, updated_at = now()
        from page_tokens t
        where p.facebook_page_id = p_page_id and t.page_id = p_page_id
          and t.refused_as = 'token' and t.refused_at <= now() - interval '1 minute';
        update page_tokens
        set refused_at = case when refused_as = 'token' then refused_at else now() end,
            refused_as = 'token'
        where page_id = p_page_id;
    elsif (p_check ->> 'token_valid')::boolean then
        update page_tokens set refused_at = null, refused_as = null
        where page_id = p_page_id and refused_as = 'token';
    end if;
    return true;
end
$$;

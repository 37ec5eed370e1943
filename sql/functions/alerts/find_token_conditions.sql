-- Returns the problems that the daily check found with tokens and subscriptions. A check counts
-- only while the page has the token that was checked. A page that was never subscribed to webhooks
-- is not reported as unsubscribed.
create or replace function :own.find_token_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
as $$
    with checked as (
        select c.page_id, c.token_expires_at, c.data_access_expires_at, c.subscribed,
               c.subscribed_fields, c.ever_subscribed, describe_page(c.page_id, p.name) as page,
               least(c.token_expires_at, c.data_access_expires_at) as ends_at
        from facebook_pages p
        join page_tokens t on t.page_id = p.facebook_page_id
        join page_checks c on c.page_id = p.facebook_page_id
                          and c.token_digest = md5(t.token_encrypted)
        where p.status = 'active'
    )
    select 'token_expiring', c.page_id,
           case when c.ends_at < now() + interval '1 day' then 'error' else 'warning' end,
           format('%s of %s expires at %s. Have the page''s owner authorize the app again, then'
                  ' add the new token with `messenger-pipeline pages add %s`.',
                  case when c.token_expires_at <= c.data_access_expires_at
                            or c.data_access_expires_at is null
                       then 'The token' else 'The app''s access to the data' end,
                  c.page, as_utc(c.ends_at), c.page_id),
           jsonb_build_object('token_expires_at', c.token_expires_at,
                              'data_access_expires_at', c.data_access_expires_at)
    from checked c
    where c.ends_at < now() + interval '7 days'
    union all
    select 'page_not_subscribed', c.page_id, 'error',
           format('%s no longer sends webhooks: %s. Subscribe the page to the app again, with all'
                  ' the fields listed in docs/webhooks.md. Until then syncs load new messages, but'
                  ' late.',
                  c.page, case when c.subscribed
                      then 'its subscription lacks the field `messages`'
                      else 'it is not subscribed to the app' end),
           jsonb_build_object('subscribed', c.subscribed, 'fields', c.subscribed_fields)
    from checked c
    where c.subscribed is not null  -- else no check has seen it
      and (not c.subscribed or not coalesce('messages' = any (c.subscribed_fields), false))
      and (c.ever_subscribed
           or exists (select from webhook_hourly_counts h where h.page_id = c.page_id))
$$;

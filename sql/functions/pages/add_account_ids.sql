-- Records further ids of an account, except ids of registered accounts. Webhook deliveries that wait
-- for one of them become due.
create or replace function :own.add_account_ids(p_page_id text, p_ids text[])
returns void
language plpgsql
set search_path from current
as $$
begin
    if not exists (
        select from unnest(p_ids) as i (id)
        where not exists (select from account_ids a where a.page_id = p_page_id and a.id = i.id)
          and not exists (
              select from facebook_pages p where i.id in (p.facebook_page_id, p.graph_id)))
    then
        return;
    end if;
    -- Waits for every transaction that found an id missing: its deliveries must be visible.
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.register_page'));
    insert into account_ids (page_id, id)
    select p_page_id, i.id from unnest(p_ids) as i (id)
    where not exists (select from facebook_pages p where i.id in (p.facebook_page_id, p.graph_id))
    on conflict do nothing;
    update webhook_inbox
    set not_before = now(), waiting_for = null
    where waiting_for && p_ids and state = 'pending';
end
$$;

-- Starts a full session of a page. Returns its id. It restores if p_restores, or if the page's
-- last_synced_at is NULL, or it is the first of an adopted page.
create or replace function :own.start_full_sync(p_page_id text, p_restores boolean)
returns uuid
language plpgsql
set search_path from current
-- An average session or page has many gaps, so that reading all may look cheaper than an index.
set enable_seqscan = off
set jit = off
as $$
declare
    v_session uuid;
begin
    insert into sync_state
        (page_id, user_id, mode, restores, page_last_synced_at, expected)
    select p_page_id, p.user_id, 'full',
           p_restores or p.last_synced_at is null or a.page_id is not null,
           case when a.page_id is null then p.last_synced_at end,
           case when p.watermark is not null then (
               select count(*) from messenger_threads t
               where t.page_id = p_page_id and t.gone_at is null) end
    from (values (p_page_id)) as requested (page_id)
    left join facebook_pages p on p.facebook_page_id = requested.page_id
    left join adopted_pages a on a.page_id = requested.page_id and a.synced_at is null
    returning sync_session_id into v_session;
    -- Meta may have refused them for lack of a permission. What it withholds always stays so.
    update thread_gaps set not_before = now()
    where page_id = p_page_id and unreadable and attempts < 3;
    return v_session;
end
$$;

-- A new full session of a page.
create or replace function :own.start_full_sync(p_page_id text)
returns uuid
language plpgsql
set search_path from current
as $$
declare
    v_session uuid;
begin
    insert into sync_state (page_id, user_id, mode, page_last_synced_at, expected)
    select p_page_id, p.user_id, 'full', p.last_synced_at,
           case when p.watermark is not null then (
               select count(*) from messenger_threads t
               where t.page_id = p_page_id and t.gone_at is null) end
    from (values (p_page_id)) as asked (page_id)
    left join facebook_pages p on p.facebook_page_id = asked.page_id
    returning sync_session_id into v_session;
    -- What Meta refused may have been for want of a permission: it is asked for again, but
    -- not again and again.
    update thread_gaps set unreadable = false, sync_session_id = v_session
    where page_id = p_page_id and unreadable and attempts between 1 and 2;
    return v_session;
end
$$;

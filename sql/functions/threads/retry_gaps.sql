-- Makes gaps due now, unreadable ones too, as if they had never failed. p_ids: as
-- list_set_aside_gaps returns them; NULL: all of p_page_id; both NULL: all. Their pages are due at
-- once. Returns the number of gaps.
create or replace function :own.retry_gaps(p_ids text[], p_page_id text)
returns integer
language sql
set search_path from current
as $$
    select commit_durably();
    with threads as (
        update thread_gaps
        set not_before = now(), attempts = 0, first_failed_at = null, unreadable = false
        where (p_ids is null or id::text = any (p_ids))
          and (p_page_id is null or page_id = p_page_id)
        returning page_id
    ), lists as (
        update list_gaps
        set not_before = now(), attempts = 0, first_failed_at = null, unreadable = false
        where (p_ids is null or 'list-' || id = any (p_ids))
          and (p_page_id is null or page_id = p_page_id)
        returning page_id
    ), gaps as (
        select page_id from threads union all select page_id from lists
    ), due as (
        update facebook_pages set next_sync_at = least(next_sync_at, now())
        where facebook_page_id in (select page_id from gaps)
    )
    select count(*)::integer from gaps
$$;

-- Puts off the unread part of a page's list, after an attempt failed with p_error. After 8 failures
-- over at least 7 days it is unreadable. MPL01 if the lease is lost.
create or replace function :own.put_off_list_gap(p_page_id text, p_fence bigint, p_error text)
returns void
language plpgsql security definer
set search_path from current
as $$
begin
    perform check_fence(p_page_id, p_fence);
    update list_gaps g
    set attempts = g.attempts + 1, first_failed_at = coalesce(g.first_failed_at, now()),
        last_error = left(p_error, 500), not_before = now() + gap_pause(g.attempts),
        resume_cursor = null, cursor_fingerprint = null,
        unreadable = g.attempts >= 7 and g.first_failed_at <= now() - interval '7 days'
    where g.page_id = p_page_id;
end
$$;

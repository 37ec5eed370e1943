-- Marks an active page as needing re-authorization, on behalf of the run that holds its lease. Does
-- nothing if the page has another token by now, or is not active. MPL01 if the lease is lost.
create or replace function :own.mark_for_reauthorization(
    p_page_id text, p_fence bigint, p_token_encrypted text, p_reason text
) returns void
language plpgsql
set search_path from current
as $$
begin
    perform check_fence(p_page_id, p_fence);
    update facebook_pages p
    set status = 'needs_reauthorization', status_reason = p_reason, updated_at = now()
    from page_tokens t
    where p.facebook_page_id = p_page_id and p.status = 'active'
      and t.page_id = p_page_id and t.token_encrypted = p_token_encrypted;
end
$$;

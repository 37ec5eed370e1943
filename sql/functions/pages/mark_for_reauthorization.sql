-- Marks a page whose owner must act, for the run that holds its lease (MPL01 if it is lost). A page
-- that was given another token meanwhile, or that is no longer active, is left as it is.
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

-- Says of a page that its owner must act, for the run that holds its lease (MPL01 if it is lost).
-- A page that was given another token meanwhile, or that is no longer active, is left as it is.
create or replace function mark_for_reauthorization(
    p_page_id text, p_fence bigint, p_token_encrypted text, p_reason text
) returns void
language plpgsql
set search_path from current
as $$
begin
    perform check_fence(p_page_id, p_fence);
    update facebook_pages
    set status = 'needs_reauthorization', status_reason = p_reason, updated_at = now()
    where facebook_page_id = p_page_id and status = 'active'
      and access_token_encrypted = p_token_encrypted;
end
$$;

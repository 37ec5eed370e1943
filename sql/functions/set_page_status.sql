-- Sets the status of a page, by Facebook's id, with the reason; true if the page is known.
create or replace function set_page_status(p_page_id text, p_status text, p_reason text default null)
returns boolean
language plpgsql
set search_path from current
as $$
begin
    update facebook_pages
    set status = p_status, status_reason = p_reason, updated_at = now(),
        -- What is removed keeps no secret.
        access_token_encrypted = case when p_status <> 'removed' then access_token_encrypted end
    where facebook_page_id = p_page_id;
    return found;
end
$$;

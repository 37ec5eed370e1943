-- Sets the status of a page, by Facebook's id, with the reason. Returns whether the page is known.
-- Deletes the token of a removed page, and what Meta refused it: it is no sign any more that Meta
-- refuses the app.
create or replace function :own.set_page_status(
    p_page_id text, p_status text, p_reason text default null
) returns boolean
language plpgsql
set search_path from current
as $$
begin
    perform commit_durably();
    update facebook_pages
    set status = p_status, status_reason = p_reason, updated_at = now()
    where facebook_page_id = p_page_id;
    if found and p_status = 'removed' then
        delete from page_tokens where page_id = p_page_id;
        delete from page_refusals where page_id = p_page_id;
        return true;
    end if;
    return found;
end
$$;

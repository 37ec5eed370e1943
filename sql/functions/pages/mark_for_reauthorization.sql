-- Records that Meta refuses a page, on behalf of the run that holds its lease. The first refusal
-- proves nothing: it is confirmed by another of the same class (p_class: token, permission), at least
-- p_seconds later and without an answer in between. The page is then marked as needing
-- re-authorization. Does nothing if the page has another token by now, or is not active. Returns
-- whether the page is marked. MPL01 if the lease is lost.
create or replace function :own.mark_for_reauthorization(
    p_page_id text, p_fence bigint, p_token_encrypted text, p_class text, p_reason text,
    p_seconds double precision
) returns boolean
language plpgsql security definer
set search_path from current
as $$
declare
    v_token page_tokens;
begin
    perform commit_durably();
    perform check_fence(p_page_id, p_fence);
    select t.* into v_token
    from page_tokens t
    join facebook_pages p on p.facebook_page_id = t.page_id and p.status = 'active'
    where t.page_id = p_page_id and t.token_encrypted = p_token_encrypted
    for no key update of t;
    if not found then
        return exists (select from facebook_pages
                       where facebook_page_id = p_page_id and status = 'needs_reauthorization');
    end if;
    if v_token.refused_as is distinct from p_class
        or v_token.refused_at > now() - make_interval(secs => p_seconds)
    then
        update page_tokens
        set refused_at = case when refused_as = p_class then refused_at else now() end,
            refused_as = p_class
        where page_id = p_page_id;
        return false;
    end if;
    update facebook_pages
    set status = 'needs_reauthorization', status_reason = p_reason, updated_at = now()
    where facebook_page_id = p_page_id;
    update page_tokens set refused_at = null, refused_as = null where page_id = p_page_id;
    return true;
end
$$;

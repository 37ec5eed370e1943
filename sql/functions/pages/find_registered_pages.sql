-- Returns those of the given pages that are registered. If one is not, blocks register_page until
-- the end of the transaction: what the transaction leaves waiting for the page, register_page will
-- see.
create or replace function :own.find_registered_pages(p_page_ids text[])
returns setof text
language plpgsql
set search_path from current
as $$
begin
    if exists (
        select from unnest(p_page_ids) as requested (page_id)
        where not exists (
            select from facebook_pages p
            where p.facebook_page_id = requested.page_id and p.status <> 'removed'))
    then
        perform pg_advisory_xact_lock_shared(hashtext('messenger_pipeline.register_page'));
    end if;
    return query
    select p.facebook_page_id from facebook_pages p
    where p.facebook_page_id = any (p_page_ids) and p.status <> 'removed';
end
$$;

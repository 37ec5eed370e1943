-- The account's id that a value of messenger_conversations.page_id stands for: that of the page with
-- this id in the registry, even if its row was merged into another, else the value itself.
create or replace function :own.account_of(p_page_id text)
returns text
language sql stable
set search_path from current
as $$
    select coalesce(
        (select facebook_page_id::text from facebook_pages where id::text = p_page_id),
        (select row_before ->> 'facebook_page_id' from merged_rows
         where table_name = 'facebook_pages' and merged_id = p_page_id limit 1),
        p_page_id)
$$;

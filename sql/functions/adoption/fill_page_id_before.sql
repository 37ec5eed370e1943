-- Fires after messenger_conversations.page_id was converted: the replaced application goes on writing
-- what it held before, which becomes the account's id. page_id_before holds what it held.
create or replace function :own.fill_page_id_before()
returns trigger
language plpgsql security definer
set search_path from current
as $$
begin
    if tg_argv[0] = 'reference' then
        new.page_id := account_of(new.page_id);
        new.page_id_before := (select p.id::text from facebook_pages p
                               where p.facebook_page_id = new.page_id);
    elsif new.page_id ~ '^\d{1,18}$' then
        new.page_id_before := new.page_id;
    end if;
    return new;
end
$$;

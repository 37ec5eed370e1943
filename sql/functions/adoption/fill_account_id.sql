-- Fires while messenger_conversations.page_id is converted, for rows that the replaced application
-- writes: fills the column that will replace it.
create or replace function :own.fill_account_id()
returns trigger
language plpgsql security definer
set search_path from current
as $$
begin
    new.page_id_after := case when tg_argv[0] = 'reference' then account_of(new.page_id::text)
                              else new.page_id::text end;
    return new;
end
$$;

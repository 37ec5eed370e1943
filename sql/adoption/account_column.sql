-- The column of conversations that holds the account's id: page_id, and while that is converted the
-- one that will replace it.
create or replace function :own.account_column()
returns text
language sql stable
set search_path from current
as $$
    select case when column_or('messenger_conversations', 'page_id_after', null) is null
                then 'page_id' else 'page_id_after' end
$$;

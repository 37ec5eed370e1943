-- Puts the converted column in the place of messenger_conversations.page_id, which becomes
-- page_id_before.
create or replace function :own.finish_conversion()
returns void
language plpgsql
set search_path from current
as $$
begin
    if account_column() = 'page_id' then
        return;
    end if;
    drop trigger messenger_pipeline_account on messenger_conversations;
    if (select is_not_null from list_table_columns()
        where table_name = 'messenger_conversations' and column_name = 'page_id')
    then
        perform change_schema(
            'alter table :data.messenger_conversations alter column page_id drop not null',
            'alter table :data.messenger_conversations alter column page_id set not null');
    end if;
    alter table messenger_conversations rename column page_id to page_id_before;
    alter table messenger_conversations rename column page_id_after to page_id;
    execute format('create trigger messenger_pipeline_page before insert'
        ' on :data.messenger_conversations for each row when (new.page_id_before is null)'
        ' execute function :own.fill_page_id_before(%L)', (select kind from describe_conversion()));
    insert into adoption_changes (statement, undo) values (
        'messenger_conversations.page_id is converted; the old column is page_id_before',
        'drop trigger messenger_pipeline_page on :data.messenger_conversations;'
        ' alter table :data.messenger_conversations rename column page_id to page_id_after;'
        ' alter table :data.messenger_conversations rename column page_id_before to page_id');
end
$$;

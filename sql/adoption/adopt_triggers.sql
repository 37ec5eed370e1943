-- Fills our columns in the rows that the replaced application goes on writing.
create or replace function :own.adopt_triggers()
returns void
language plpgsql
set search_path from current
as $$
declare
    v_kind text := (select kind from describe_page_ids());
begin
    if v_kind <> 'account' then
        perform change_schema(
            'alter table :data.messenger_conversations add column page_id_after text collate "C"',
            'alter table :data.messenger_conversations drop column page_id_after');
        execute format('create trigger messenger_pipeline_account before insert or update'
            ' on :data.messenger_conversations for each row when (new.page_id_after is null)'
            ' execute function fill_account_id(%L)', v_kind);
    end if;
    perform change_schema(
        format('create trigger messenger_pipeline_fill before insert or update'
               ' on :data.contact_interaction_events for each row when (new.page_id is null)'
               ' execute function :own.fill_adopted_event(%L)', v_kind),
        'drop trigger messenger_pipeline_fill on :data.contact_interaction_events');
end
$$;

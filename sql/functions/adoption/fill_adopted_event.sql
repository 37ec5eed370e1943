-- Fires for rows that the replaced application writes: fills the columns that it does not know. An
-- event of a conversation that was merged goes to the one that stands for it.
--
-- Its argument: what messenger_conversations.page_id held, see describe_page_ids.
create or replace function :own.fill_adopted_event()
returns trigger
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
    v_survivor text;
begin
    loop
        -- Locked, because it may be merged at this moment.
        select m.page_id::text into v_page_id from messenger_conversations m
        where m.id = new.conversation_id for key share;
        exit when found;
        select r.survivor_id into v_survivor from merged_rows r
        where r.table_name = 'messenger_conversations'
          and r.merged_id = new.conversation_id::text;
        exit when not found;
        new.conversation_id := v_survivor;
    end loop;
    new.page_id := case when tg_argv[0] = 'reference' then account_of(v_page_id) else v_page_id end;
    new.message_id := coalesce(nullif(new.message_id, ''), nullif(new.metadata ->> 'message_id', ''));
    new.as_of := coalesce(new.as_of, new.event_timestamp);
    new.metadata := coalesce(new.metadata, '{}');
    return new;
end
$$;

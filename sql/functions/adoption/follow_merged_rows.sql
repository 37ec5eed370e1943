-- Called before conversations or events are deleted because others stand for them: rows of the
-- owner's that refer to them refer to those from now on. In an adopted database the whole row is kept
-- in merged_rows, columns of the owner's included.
--
-- p_table: messenger_conversations or contact_interaction_events.
create or replace function :own.follow_merged_rows(p_table text, p_merged text[], p_survivors text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_type text := case p_table when 'messenger_conversations' then ':conversation_id_type'
                                else ':event_id_type' end;
begin
    if exists (select from adoption_steps) then
        execute format(
            'insert into merged_rows (table_name, merged_id, survivor_id, row_before)'
            ' select $1, w.merged, w.survivor, to_jsonb(t)'
            ' from unnest($2, $3) as w (merged, survivor) join %I t on t.id = w.merged::%s',
            p_table, v_type)
            using p_table, p_merged, p_survivors;
    end if;
    if exists (select from list_references(p_table)) then
        perform repoint_references(p_table, p_merged, p_survivors);
    end if;
end
$$;

-- Points what refers to merged rows to those that stay, in the tables of the database's owner. Where
-- a unique rule allows one row only, the other is taken away and kept in merged_rows.
create or replace function :own.repoint_references(
    p_table text, p_merged text[], p_survivors text[]
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_reference record;
    v_row record;
    v_type text;
begin
    for v_reference in
        select r.referencing, r.column_name from list_references(p_table) r
        where r.referencing <> to_regclass(':data.contact_interaction_events')
           or p_table <> 'messenger_conversations' or r.column_name <> 'conversation_id'
    loop
        v_type := (select format_type(atttypid, atttypmod) from pg_attribute
                   where attrelid = v_reference.referencing and attname = v_reference.column_name);
        begin
            execute format(
                'update %s t set %2$I = w.survivor::%3$s from unnest($1, $2) w (merged, survivor)'
                ' where t.%2$I = w.merged::%3$s', v_reference.referencing,
                v_reference.column_name, v_type)
                using p_merged, p_survivors;
        exception when unique_violation or exclusion_violation then
            for v_row in execute format(
                'select t.ctid as place, to_jsonb(t) as whole, w.survivor'
                ' from %s t join unnest($1, $2) w (merged, survivor) on t.%I = w.merged::%s'
                ' for update of t', v_reference.referencing, v_reference.column_name, v_type)
                using p_merged, p_survivors
            loop
                begin
                    execute format('update %s set %I = $1::%s where ctid = $2',
                                   v_reference.referencing, v_reference.column_name, v_type)
                        using v_row.survivor, v_row.place;
                exception when unique_violation or exclusion_violation then
                    insert into merged_rows (table_name, merged_id, survivor_id, row_before)
                    values (v_reference.referencing::text,
                            coalesce(v_row.whole ->> 'id', v_row.whole::text), v_row.survivor,
                            v_row.whole);
                    execute format('delete from %s where ctid = $1', v_reference.referencing)
                        using v_row.place;
                end;
            end loop;
        end;
    end loop;
end
$$;

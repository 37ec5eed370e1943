-- Last of undoing an adoption, when our own tables are gone: undoes what it changed in the replaced
-- application's schema. Returns what is worth knowing, as sentences.
--
-- What remains of ours is in our own schema: tokens, quarantined records, and merged_rows.
create or replace function :own.finish_undo()
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_undo text;
    v_note text;
begin
    -- An adoption that is not finished has this one.
    drop trigger if exists messenger_pipeline_account on messenger_conversations;
    for v_undo in select c.undo from adoption_changes c order by c.id desc loop
        v_note := undo_change(v_undo);
        if v_note is not null then
            return next v_note;
        end if;
    end loop;
    if column_or('facebook_pages', 'last_synced_at', null) is not null then
        update facebook_pages p set last_synced_at = k.last_synced_at
        from kept_page_times k
        where k.id = p.id::text and p.last_synced_at is distinct from k.last_synced_at;
    end if;
    perform execute_all(array(
        select format('alter table %s %s trigger %I', relation, again, name) from disabled_triggers));
    return query
    select format('%s rows of %s stay merged: merged_rows in the schema :own has each, and the row'
                  ' that stands for it.', count(*), m.table_name)
    from merged_rows m group by m.table_name order by m.table_name;
    drop table adoption_steps, adoption_changes, adopted_values, adopted_pages,
               adopted_conversations;
    drop table if exists adoption_work;
    delete from owned_objects
    where in_schema = 'data' and kind = 'table'
       or in_schema = 'own' and kind = 'table'
          and to_regclass(format(':own.%I', name)) is null;
end
$$;

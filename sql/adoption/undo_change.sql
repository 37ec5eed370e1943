-- Runs what undoes one change of an adoption. Rows that came since, and break a rule of the replaced
-- application's, are changed to keep it if that loses nothing; else the rule stays away. Returns what
-- was done about them, or NULL.
create or replace function :own.undo_change(p_undo text)
returns text
language plpgsql
set search_path from current
as $$
declare
    v_rows bigint;
    v_column text[];
begin
    execute p_undo;
    return null;
exception
    when undefined_object or undefined_column or undefined_table then
        -- The migrations dropped it, or somebody did.
        if p_undo !~ '^(drop|alter table|revoke) ' or p_undo ~ ';' then
            raise;
        end if;
        return null;
    when unique_violation then
        if p_undo !~ 'contact_interaction_events' then
            raise;
        end if;
        v_rows := separate_events(p_undo);
        execute p_undo;
        return format('%s events are one to a unique index of the replaced application: %s.', v_rows,
                      case when p_undo ~ 'message_id'
                           then 'their message_id is in metadata.about_message_id'
                           else 'their times moved by microseconds' end);
    when not_null_violation then
        v_column := regexp_match(p_undo, 'alter table (\S+) alter column (\S+) set not null');
        if v_column is null then
            raise;
        end if;
        if v_column[2] ~ 'token' then
            execute format('update %s set %s = '''' where %2$s is null', v_column[1], v_column[2]);
            get diagnostics v_rows = row_count;
            execute p_undo;
            return format('%s rows of %s came since: %s is empty in them.', v_rows, v_column[1],
                          v_column[2]);
        end if;
        execute format('select count(*) from %s where %s is null', v_column[1], v_column[2])
            into v_rows;
        return format('%s rows of %s came since, without %s: it may be NULL from now on.', v_rows,
                      v_column[1], v_column[2]);
end
$$;

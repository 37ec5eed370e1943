-- Creates the indexes and constraints of ours that are missing or invalid. Returns what it created.
-- MPX01 if rows break one: then nothing is changed.
create or replace function :own.restore_indexes()
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_missing record;
    v_invalid regclass;
    v_key text[];
begin
    for v_missing in
        select m.table_name, m.name, m.definition from find_missing_indexes() m
    loop
        begin
            if v_missing.definition like 'CREATE %' then
                select i.indexrelid::regclass into v_invalid
                from pg_index i join pg_class c on c.oid = i.indexrelid
                where i.indrelid = to_regclass(v_missing.table_name) and c.relname = v_missing.name;
                if found then
                    execute format('drop index %s', v_invalid);
                end if;
                execute v_missing.definition;
            else
                execute format('alter table %s add constraint %I %s', v_missing.table_name,
                               v_missing.name, v_missing.definition);
            end if;
        exception
            when unique_violation then
                v_key := regexp_match(
                    v_missing.definition,
                    '(?:USING btree|UNIQUE|PRIMARY KEY)(?: NULLS NOT DISTINCT)? \((.*?)\)'
                    '(?: NULLS NOT DISTINCT)?(?: WHERE (.*))?$');
                raise exception 'the index % of % is missing and cannot be created again, because rows of the table are in it twice',
                    v_missing.name, v_missing.table_name
                    using errcode = 'MPX01', detail = format(
                        'To list them: select %s, count(*) from %s%s group by %s having count(*) > 1.'
                        ' Delete all but one of each, and run the command again.',
                        v_key[1], v_missing.table_name, ' where ' || v_key[2], v_key[1]);
            when foreign_key_violation or check_violation then
                raise exception 'the constraint % of % is missing and cannot be created again, because rows of the table break it: %',
                    v_missing.name, v_missing.table_name, v_missing.definition
                    using errcode = 'MPX01',
                          detail = 'Correct or delete them, and run the command again.';
        end;
        return next format('%s of %s', v_missing.name, v_missing.table_name);
    end loop;
end
$$;

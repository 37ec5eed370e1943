-- MPX01 where a table that is to be made has a namesake that is not on record as ours.
create or replace function :own.require_own_tables(p_names text[])
returns void
language plpgsql
set search_path from current
as $$
declare
    v_name text;
begin
    -- Of those that a downgrade kept the owner may have dropped some.
    delete from owned_objects
    where in_schema = 'data' and kind = 'table' and name = any (p_names)
      and to_regclass(format(':data.%I', name)) is null;
    foreach v_name in array p_names loop
        if to_regclass(format(':data.%I', v_name)) is not null
            and not exists (select from owned_objects
                            where in_schema = 'data' and kind = 'table' and name = v_name)
        then
            raise exception ':data.% is there already, and is not messenger-pipeline''s', v_name
                using errcode = 'MPX01',
                      detail = 'Rename it, or choose another MESSENGER_DATABASE_SCHEMA. (Tables of the'
                               ' replaced application are adopted by `db upgrade`, not by a script.)';
        end if;
    end loop;
end
$$;

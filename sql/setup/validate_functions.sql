-- Checks the body of each of our functions. They are created unchecked, so that the order does not
-- matter.
create or replace function :own.validate_functions()
returns void
language plpgsql
set search_path from current
set check_function_bodies = on  -- an upgrade switches it off
as $$
begin
    perform case l.lanname when 'sql' then fmgr_sql_validator(p.oid)
                           when 'plpgsql' then plpgsql_validator(p.oid) end
    from owned_objects o
    join pg_proc p on p.proname = o.name
                  and p.pronamespace = find_schema(o.in_schema)
    join pg_language l on l.oid = p.prolang
    where o.kind = 'function';
end
$$;

-- Returns how many rows of a table, which may be somebody else's, have no value in one of the
-- columns, in the form of check_guide_rows. A column that is not there counts as one.
create or replace function :own.count_nulls(p_name text, p_table regclass, p_columns text[])
returns table (name text, violations bigint, shown text, says text)
language plpgsql stable
set search_path from current
as $$
declare
    v_all bigint;
    v_bad bigint;
    v_missing text[] := array(
        select c from unnest(p_columns) c
        where not exists (select from pg_attribute a where a.attrelid = p_table
                          and a.attname = c and not a.attisdropped));
    v_says text := format('rows of %s without %s', p_table, array_to_string(p_columns, ' or '));
begin
    if v_missing <> '{}' then
        return query select p_name, cardinality(v_missing)::bigint, '0 of 0'::text,
            format('%s has no column %s', p_table, array_to_string(v_missing, ', '));
    elsif not has_table_privilege(p_table, 'select') or row_security_active(p_table) then
        return query select p_name, null::bigint, 'not checked'::text,
            format('role %s may not see all rows of %s', current_user, p_table);
    else
        execute format('select count(*), count(*) filter (where %s) from %s',
            (select string_agg(format('%I is null', c), ' or ') from unnest(p_columns) c), p_table)
            into v_all, v_bad;
        return query select p_name, v_bad,
            format('%s of %s', to_char(v_bad, 'FM999,999,999,990'),
                   to_char(v_all, 'FM999,999,999,990')), v_says;
    end if;
end
$$;

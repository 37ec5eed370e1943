-- Gives the columns of an adopted table the values that the adoption replaced, where nobody changed
-- them since. Returns the number of rows.
create or replace function :own.restore_values(p_table text)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_columns text[];
    v_rows bigint;
begin
    select array_agg(quote_ident(a.attname) order by a.attnum) into v_columns
    from pg_attribute a
    where a.attrelid = to_regclass(format(':data.%I', p_table)) and a.attnum > 0
      and not a.attisdropped
      and exists (select from adopted_values v
                  where v.table_name = p_table and v.old ? a.attname);
    if v_columns is null then
        return 0;
    end if;
    execute format(
        'update :data.%1$I t set %2$s from adopted_values v'
        ' cross join lateral jsonb_populate_record(cast(null as :data.%1$I), v.old) o'
        ' cross join lateral jsonb_populate_record(cast(null as :data.%1$I), v.adopted) a'
        ' where v.table_name = %1$L and v.id = t.id::text and (%3$s)',
        p_table,
        (select string_agg(format('%1$s = case when v.old ? %2$L and t.%1$s is not distinct from a.%1$s'
                                  ' then o.%1$s else t.%1$s end', c, trim(both '"' from c)), ', ')
         from unnest(v_columns) c),
        (select string_agg(format('v.old ? %2$L and t.%1$s is not distinct from a.%1$s', c,
                                  trim(both '"' from c)), ' or ')
         from unnest(v_columns) c));
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

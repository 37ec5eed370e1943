-- Merges the rows of one page that several owners connected: the newest stays. What it lacks, a token
-- among it, comes from the others. Tokens are not copied to merged_rows.
create or replace function :own.merge_pages()
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_merged text[];
    v_survivors text[];
    v_column text;
begin
    perform from facebook_pages f where f.facebook_page_id in (
        select facebook_page_id from facebook_pages group by 1 having count(*) > 1)
    order by f.id::text for update;
    select array_agg(d.id), array_agg(d.survivor) into v_merged, v_survivors
    from (
        select f.id::text as id, first_value(f.id::text) over (
                   partition by f.facebook_page_id
                   order by f.updated_at desc nulls last, f.created_at desc nulls last, f.id::text desc
               ) as survivor
        from facebook_pages f where f.facebook_page_id <> ''
    ) d
    where d.id <> d.survivor;
    if v_merged is null then
        return 0;
    end if;
    perform repoint_references('facebook_pages', v_merged, v_survivors);
    foreach v_column in array array(select list_token_columns()) || array['name', 'user_id'] loop
        execute format(
            'update facebook_pages f set %1$I = o.%1$I from unnest($1, $2) w (merged, survivor)'
            ' join facebook_pages o on o.id::text = w.merged'
            ' where f.id::text = w.survivor and (f.%1$I is null or f.%1$I::text = '''')'
            ' and o.%1$I is not null', v_column) using v_merged, v_survivors;
    end loop;
    insert into merged_rows (table_name, merged_id, survivor_id, row_before)
    select 'facebook_pages', w.merged, w.survivor,
           to_jsonb(f) - array(select list_token_columns())
    from unnest(v_merged, v_survivors) w (merged, survivor)
    join facebook_pages f on f.id::text = w.merged;
    delete from facebook_pages f where f.id::text = any (v_merged);
    return cardinality(v_merged);
end
$$;

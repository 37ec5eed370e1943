-- Returns how many rows of a table are of a page, by the statistics of the last ANALYZE; 0 if the page
-- was none of the largest then.
create or replace function :own.estimate_page_rows(p_table regclass, p_page_id text)
returns bigint
language sql stable
set search_path from current
as $$
    select coalesce(max(round(c.reltuples * f.frequency))::bigint, 0)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_stats s
        on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = 'page_id'
    cross join unnest(s.most_common_vals::text::text[], s.most_common_freqs) as f (page_id, frequency)
    where c.oid = p_table and f.page_id = p_page_id
$$;

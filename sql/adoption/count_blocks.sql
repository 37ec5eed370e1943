-- The size of a table of the data schema in blocks.
create or replace function :own.count_blocks(p_table text)
returns bigint
language sql volatile
set search_path from current
as $$
    select pg_relation_size(format(':data.%I', p_table)::regclass)
           / current_setting('block_size')::bigint
$$;

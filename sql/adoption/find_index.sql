-- Whether an index of that name is there: valid, or left invalid by an attempt that was interrupted;
-- NULL: there is none.
create or replace function :own.find_index(p_name text)
returns boolean
language sql stable
set search_path from current
as $$
    select i.indisvalid from pg_index i
    where i.indexrelid = to_regclass(format(':data.%I', p_name))
$$;

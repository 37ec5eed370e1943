-- A digest of a function or view as the server has it: whether somebody changed it. NULL for what we
-- never make, an aggregate.
create or replace function :own.digest_object(p_kind text, p_oid oid)
returns text
language sql stable
set search_path from current
as $$
    select md5(case when p_kind <> 'function' then pg_get_viewdef(p_oid)
                    when (select prokind from pg_proc where oid = p_oid) <> 'a'
                        then pg_get_functiondef(p_oid) end)
$$;

-- A digest of a function or view as the server has it: whether somebody changed it.
create or replace function :own.digest_object(p_kind text, p_oid oid)
returns text
language sql stable
set search_path from current
as $$
    select md5(case when p_kind = 'function' then pg_get_functiondef(p_oid)
                    else pg_get_viewdef(p_oid) end)
$$;

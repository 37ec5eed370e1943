-- Takes from everybody what a restore without privileges gives them on a function of the data
-- schema.
create or replace function :own.close_to_public(p_kind text, p_oid oid)
returns void
language plpgsql
set search_path from current
as $$
begin
    if p_kind = 'function' and list_grants(p_kind, p_oid) @> '[{"grantee": "public"}]' then
        execute format('revoke all on function %s from public', describe_object(p_kind, p_oid));
    end if;
end
$$;

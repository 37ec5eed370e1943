-- Takes from everybody what a restore without privileges, or PostgreSQL's defaults, give them on a
-- function that runs as its owner: all of the data schema, and those of our own that roles execute.
create or replace function :own.close_to_public(p_kind text, p_oid oid)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_function pg_proc;
begin
    if p_kind <> 'function' then
        return;
    end if;
    select * into v_function from pg_proc where oid = p_oid;
    if v_function.pronamespace = ':own'::regnamespace and v_function.prosecdef
        and grants_are_default(p_kind, p_oid)
    then
        perform withhold_object(p_kind, p_oid);
    elsif (v_function.pronamespace <> ':own'::regnamespace or v_function.prosecdef)
        and list_grants(p_kind, p_oid) @> '[{"grantee": "public"}]'
    then
        execute format('revoke all on function %s from public', describe_object(p_kind, p_oid));
    end if;
end
$$;

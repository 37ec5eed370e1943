-- Gives a role what its purpose needs, and has each later upgrade do the same for what is new. A
-- repeated call changes nothing. Only the schema's owner may call it.
--
-- p_purpose: reader: the tables and views of the data schema, no token and nothing of the internal
--   schema; sync: see list_role_functions, and what the reader has; receiver: see there.
create or replace function :own.grant_role(p_role text, p_purpose text)
returns void
language plpgsql
set search_path from current
as $$
begin
    if not exists (select from pg_roles where rolname = p_role) then
        raise exception 'there is no role %', p_role
            using errcode = 'MPX01', detail = format('Create it: create role %I login.', p_role);
    end if;
    insert into role_grants (role_name, purpose) values (p_role, p_purpose) on conflict do nothing;
    if p_purpose in ('reader', 'sync') then
        perform grant_reading(p_role);
    end if;
    perform grant_functions(p_role, list_role_functions(p_purpose));
    if p_purpose = 'sync' then
        execute format(
            'grant select on :own.owned_objects, :own.owned_indexes, :own.messenger_schema_version,'
            ' :own.adoption_steps, :own.adopted_pages, :own.adopted_conversations,'
            ' :own.webhook_backlog to %I', p_role);
    end if;
end
$$;

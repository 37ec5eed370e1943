-- MPX01 unless the schema is at the revision from which a printed script upgrades.
create or replace function :own.require_revision(p_revision text)
returns void
language plpgsql
set search_path from current
as $$
declare
    v_current text := 'base';
begin
    if to_regclass(':own.messenger_schema_version') is not null then
        select coalesce(max(version_num), 'base') into v_current from messenger_schema_version;
    end if;
    if v_current <> p_revision then
        raise exception 'the schema is at %, this script upgrades from %', v_current, p_revision
            using errcode = 'MPX01', detail = 'Print it again with --from.';
    end if;
end
$$;

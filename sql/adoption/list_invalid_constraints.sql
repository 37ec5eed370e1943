-- The constraints of adopted tables that are not validated, of those that an adoption added.
create or replace function :own.list_invalid_constraints()
returns table (statement text)
language sql stable
set search_path = pg_catalog
as $$
    select format('alter table %s validate constraint %I', o.conrelid::regclass, o.conname)
    from pg_constraint o
    where not o.convalidated and o.conrelid in (
              to_regclass(':data.facebook_pages'), to_regclass(':data.messenger_conversations'),
              to_regclass(':data.contact_interaction_events'))
      and exists (select from :own.adoption_changes c
                  where c.statement like '%add constraint ' || o.conname || '%')
$$;

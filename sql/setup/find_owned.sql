-- The function or view of ours among objects of its name, or NULL: the recorded one, else one that is
-- as we made it. Where no oid is recorded, the only one of its name is ours.
create or replace function :own.find_owned(p_recorded :own.owned_objects, p_found oid[])
returns oid
language sql stable
set search_path from current
as $$
    select coalesce(
        (select o from unnest(p_found) o where o = p_recorded.object_oid),
        (select o from unnest(p_found) o
         where digest_object(p_recorded.kind, o) = p_recorded.installed_digest limit 1),
        case when p_recorded.kind is not null and cardinality(p_found) = 1
                  and (p_recorded.object_oid is null or p_recorded.in_schema = 'own')
             then p_found[1] end)
$$;

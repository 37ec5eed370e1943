-- Returns, as sentences, where row level security hides rows of ours from the caller or from the
-- functions' owner, and the remedy; NULL: nowhere. Without this a process would find no page, and
-- believe that there is none.
create or replace function :own.describe_blindness()
returns text
language sql stable
set search_path from current
as $$
    with roles as (
        select r.oid, r.rolname, r.oid = p.proowner as writes
        from pg_roles r
        join pg_proc p on p.proname = 'get_page' and p.pronamespace = ':own'::regnamespace
        where (r.rolname = current_user or r.oid = p.proowner)
          and not r.rolsuper and not r.rolbypassrls
    ),
    subject as (
        select r.*, c.oid as relation
        from roles r
        join pg_class c on c.relnamespace = ':data'::regnamespace and c.relrowsecurity
        where c.relname in ('facebook_pages', 'messenger_conversations',
                            'contact_interaction_events', 'sync_state', 'sync_locks')
          and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))
          and has_any_column_privilege(r.oid, c.oid, 'select')
    ),
    policies as (
        select s.oid, s.relation, p.polname, p.polcmd, p.polpermissive,
               coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
               and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true' as is_open
        from subject s
        join pg_policy p on p.polrelid = s.relation
        where exists (select from unnest(p.polroles) as g (grantee)
                      where case g.grantee when 0 then true
                                else pg_has_role(s.oid, g.grantee, 'usage') end)
    )
    select string_agg(sentence, ' ' order by sentence)
    from (
        select distinct format(
            'The policy %I hides rows of %s from the role %s: drop it, or name in it (alter policy'
            ' … to …) only the roles that it is for.', p.polname, s.relation::regclass, s.rolname)
        from subject s
        join policies p on p.oid = s.oid and p.relation = s.relation
        where not p.polpermissive and not p.is_open and (s.writes or p.polcmd in ('*', 'r'))
        union all
        select format(
            'Row level security hides rows of %s from the role %I: connect as their owner or as a'
            ' role of sql/roles.sql, or let it see them, as by: create policy %I on %s to %I using'
            ' (true).', string_agg(s.relation::regclass::text, ', ' order by s.relation), s.rolname,
            left(s.rolname, 50) || '_sees_all', min(s.relation::regclass::text), s.rolname)
        from subject s
        where exists (
            select
            from unnest(case when s.writes then array['r', 'a', 'w', 'd'] else array['r'] end)
                as c (command)
            where not exists (
                select from policies p
                where p.oid = s.oid and p.relation = s.relation and p.polpermissive and p.is_open
                  and p.polcmd in ('*', c.command)))
        group by s.rolname
    ) as s (sentence)
$$;

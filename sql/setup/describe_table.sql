-- The statements that make a table anew, in their order, without its rows and triggers.
create or replace function :own.describe_table(p_table regclass)
returns table (kind text, statement text)
language sql stable
-- Every name comes with its schema.
set search_path = pg_catalog
as $$
    select s.kind, s.statement
    from (
        select 1 as step, 'table' as kind, 0::bigint as place, format(
            'create table %s (%s)', p_table, string_agg(format('%I %s%s%s%s',
                a.attname, format_type(a.atttypid, a.atttypmod),
                case when a.attcollation <> t.typcollation
                    then ' collate ' || a.attcollation::regcollation end,
                case when a.attgenerated = 's'
                        then format(' generated always as (%s) stored', pg_get_expr(d.adbin, d.adrelid))
                     when d.adbin is not null
                        then ' default ' || pg_get_expr(d.adbin, d.adrelid) end,
                case when a.attnotnull then ' not null' end), ', ' order by a.attnum)) as statement
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped
        union all
        -- 'n', not null, is a constraint from PostgreSQL 18 on; it stands with the columns.
        select 2, 'constraint', c.oid::bigint, format(
            'alter table %s add constraint %I %s', p_table, c.conname, pg_get_constraintdef(c.oid))
        from pg_constraint c
        where c.conrelid = p_table and c.contype in ('p', 'u', 'c', 'x')
        union all
        select 3, 'index', i.indexrelid::bigint, pg_get_indexdef(i.indexrelid)
        from pg_index i
        where i.indrelid = p_table
          and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
        union all
        select 4, 'comment', e.objsubid, format(
            'comment on %s is %L',
            case when e.objsubid = 0 then format('table %s', p_table)
                 else format('column %s.%I', p_table, a.attname) end, e.description)
        from pg_description e
        left join pg_attribute a on a.attrelid = e.objoid and a.attnum = e.objsubid
        where e.objoid = p_table and e.classoid = 'pg_class'::regclass
        union all
        select 5, 'security', 0, format('alter table %s enable row level security', p_table)
        from pg_class c where c.oid = p_table and c.relrowsecurity
        union all
        select 6, 'policy', p.oid::bigint, format(
            'create policy %I on %s as %s for %s to %s%s%s', p.polname, p_table,
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                          when 'd' then 'delete' else 'all' end,
            (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
             from unnest(p.polroles) r),
            ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
            ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
        from pg_policy p where p.polrelid = p_table
        union all
        select 7, 'grant', 0, format(
            'grant %s%s on %s to %s%s', g.privilege, ' (' || quote_ident(g.attname) || ')', p_table, g.grantee,
            case when g.grantable then ' with grant option' end)
        from jsonb_to_recordset(:own.list_grants('table', p_table))
            as g (privilege text, attname name, grantee text, grantable boolean)
        union all
        select 8, 'reference', c.oid::bigint, format(
            'alter table %s add constraint %I %s', c.conrelid::regclass, c.conname,
            pg_get_constraintdef(c.oid))
        from pg_constraint c
        where p_table in (c.conrelid, c.confrelid) and c.contype = 'f' and c.conparentid = 0
    ) s
    order by s.step, s.place, s.statement
$$;

-- Policies. The owner of the table stands without a name in their roles: it may have another one in
-- another environment.
select n.nspname, c.relname, p.polname, p.oid, jsonb_build_object(
    'command', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                             when 'd' then 'delete' else 'all' end,
    'permissive', p.polpermissive,
    'roles', (select jsonb_agg(case r when 0 then 'public' when c.relowner then '(owner)'
                                      else quote_ident(pg_get_userbyid(r)) end
                               order by case r when 0 then 'public' when c.relowner then '(owner)'
                                               else quote_ident(pg_get_userbyid(r)) end)
              from unnest(p.polroles) r),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', obj_description(p.oid, 'pg_policy'))
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                  and d.objid = c.oid and d.deptype = 'e')

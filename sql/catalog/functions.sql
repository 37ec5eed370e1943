-- Functions, procedures and aggregates by their signature: the types of their arguments. Not those that
-- a range type brings.
select n.nspname, null::text,
    quote_ident(p.proname) || '('
    || coalesce((select string_agg(format_type(t, null), ', ' order by position)
                 from unnest(p.proargtypes) with ordinality u (t, position)), '') || ')',
    p.oid, jsonb_build_object(
    'form', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window'
                           else 'function' end,
    'arguments', pg_get_function_arguments(p.oid),
    'returns', pg_get_function_result(p.oid),
    'language', l.lanname,
    'body', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
    'library', p.probin,
    'volatility', case p.provolatile when 'i' then 'immutable' when 's' then 'stable'
                                     else 'volatile' end,
    'parallel', case p.proparallel when 's' then 'safe' when 'r' then 'restricted'
                                   else 'unsafe' end,
    'strict', p.proisstrict,
    'security_definer', p.prosecdef,
    'leakproof', p.proleakproof,
    'cost', p.procost,
    'rows', p.prorows,
    'support', nullif(p.prosupport::oid, 0)::regproc::text,
    'settings', (select coalesce(jsonb_agg(s order by s), '[]') from unnest(p.proconfig) s),
    'aggregate', (select to_jsonb(array[a.aggtransfn::text, a.aggfinalfn::text,
                                        format_type(a.aggtranstype, null), a.agginitval])
                  from pg_aggregate a where a.aggfnoid = p.oid),
    'comment', obj_description(p.oid, 'pg_proc'),
    '_definition', case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
    '_sql_body', p.prosqlbody is not null,
    '_name', quote_ident(p.proname),
    '_argument_names', to_jsonb(p.proargnames),
    '_argument_modes', to_jsonb(p.proargmodes),
    '_least', cardinality(p.proargtypes::oid[]) - p.pronargdefaults,
    '_most', case when p.provariadic <> 0 then 100 else p.pronargs end,
    '_owner', pg_get_userbyid(p.proowner),
    '_dependents', (select coalesce(jsonb_agg(distinct pg_describe_object(d.classid, d.objid, d.objsubid)),
                                    '[]')
                    from pg_depend d
                    where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
                      and d.deptype in ('n', 'a', 'i')))
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname = any (%(schemas)s)
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass
                  and d.objid = p.oid and d.deptype in ('e', 'i'))

-- Views, policies, triggers, generated columns, defaults and functions that are built on a relation
-- (of a column: on that), or on a function.
create or replace function :own.list_dependents(p_class regclass, p_oid oid, p_column smallint)
returns table (description text, is_view boolean)
language sql stable
set search_path = pg_catalog
as $$
    select distinct
           case when w.oid is not null
                then format('view %s', w.ev_class::regclass)
                else pg_describe_object(d.classid, d.objid, d.objsubid) end,
           w.oid is not null
    from pg_depend d
    left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
    where d.refclassid = p_class and d.refobjid = p_oid and d.deptype = 'n'
      and (p_column is null or d.refobjsubid = p_column)
      and d.classid in ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass,
                        'pg_attrdef'::regclass, 'pg_proc'::regclass)
      and (w.oid is null or w.ev_class <> p_oid)
$$;

-- Which object needs which other one to be there first, as (class, oid) twice. A view stands for its
-- rule, a table for its defaults and constraints, a row type for its table.
with resolved as (
    select 'pg_class'::regclass::oid as class, r.ev_class as oid, d.refclassid, d.refobjid
    from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    union all
    select 'pg_class'::regclass::oid, a.adrelid, d.refclassid, d.refobjid
    from pg_depend d join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
    union all
    select 'pg_class'::regclass::oid, k.conrelid, d.refclassid, d.refobjid
    from pg_depend d join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
    where k.contype = 'c' and k.conrelid <> 0
    union all
    select d.classid, d.objid, d.refclassid, d.refobjid
    from pg_depend d
    where d.classid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
                        'pg_constraint'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
)
select distinct r.class::regclass::text, r.oid,
       case when t.typrelid <> 0 then 'pg_class' else r.refclassid::regclass::text end,
       case when t.typrelid <> 0 then t.typrelid
            when t.typelem <> 0 and t.typcategory = 'A' then t.typelem else r.refobjid end
from resolved r
left join pg_type t on r.refclassid = 'pg_type'::regclass and t.oid = r.refobjid
where r.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
  and r.oid >= 16384 and r.refobjid >= 16384
  and (r.class, r.oid) is distinct from (r.refclassid, r.refobjid)

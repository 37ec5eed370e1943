-- Which object needs which other one to be there first: (class, oid, column) twice; column 0 is the
-- whole. A view stands for its rule, a table for its defaults and constraints, a constraint for its
-- index, a table for its row type, a type for its arrays.
with resolved as (
    select 'pg_class'::regclass::oid as class, r.ev_class as oid, 0 as part,
           d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    union all
    select 'pg_class'::regclass::oid, a.adrelid, a.adnum, d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend d join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
    union all
    select 'pg_class'::regclass::oid, k.conrelid, 0, d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend d join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
    where k.contype in ('c', 'x') and k.conrelid <> 0
    union all
    select d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend d
    where d.classid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
                        'pg_constraint'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass,
                        'pg_statistic_ext'::regclass)
    union all
    select 'pg_type'::regclass::oid, k.contypid, 0, d.refclassid, d.refobjid, d.refobjsubid
    from pg_depend d join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
    where k.contypid <> 0
), targets as (
    select r.class, r.oid, r.part,
           case when k.oid is not null then 'pg_constraint'::regclass
                when coalesce(e.typrelid, t.typrelid) <> 0 then 'pg_class'::regclass
                else r.refclassid::regclass end as ref_class,
           coalesce(k.oid, nullif(coalesce(e.typrelid, t.typrelid), 0), e.oid, r.refobjid) as ref,
           r.refobjsubid as ref_part
    from resolved r
    left join pg_type t on r.refclassid = 'pg_type'::regclass and t.oid = r.refobjid
    -- Of a composite type the relation is no object of its own: the type stays.
    left join pg_type e on t.typelem <> 0 and t.typcategory = 'A' and e.oid = t.typelem
    left join pg_constraint k on r.refclassid = 'pg_class'::regclass and k.conindid = r.refobjid
                             and k.contype in ('p', 'u', 'x')
    where r.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
      and r.oid >= 16384 and r.refobjid >= 16384
      -- A sequence is tied to its column, but made before.
      and not (r.class = 'pg_class'::regclass and exists (
          select from pg_sequence s where s.seqrelid = r.oid))
)
select distinct case when s.relkind = 'c' then 'pg_type' else t.class::regclass::text end,
       case when s.relkind = 'c' then s.reltype else t.oid end,
       case when s.relkind = 'c' then 0 else t.part end,
       case when c.relkind = 'c' then 'pg_type' else t.ref_class::text end,
       case when c.relkind = 'c' then c.reltype else t.ref end, t.ref_part
from targets t
left join pg_class s on t.class = 'pg_class'::regclass and s.oid = t.oid
left join pg_class c on t.ref_class = 'pg_class'::regclass and c.oid = t.ref
where (t.class, t.oid) is distinct from (t.ref_class::oid, t.ref)

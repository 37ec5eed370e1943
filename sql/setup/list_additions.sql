-- What the owner added to a view or function of ours, and a replacement would lose: options of a
-- view, and comments. As statements, with %s for its name: [{statement, attname}].
create or replace function :own.list_additions(p_kind text, p_oid oid)
returns jsonb
language sql stable
set search_path from current
as $$
    select coalesce(jsonb_agg(jsonb_build_object('statement', a.statement, 'attname', a.attname)),
                    '[]')
    from (
        select format('alter view %%s set (%I = %L)',
                      split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) as statement,
               null::name as attname
        from pg_class c cross join unnest(c.reloptions) o
        where p_kind = 'view' and c.oid = p_oid
        union all
        select case when a.attname is null then format('comment on %s %%s is ', p_kind)
                    else format('comment on column %%s.%s is ',
                                replace(quote_ident(a.attname), '%', '%%')) end
               || replace(quote_literal(d.description), '%', '%%'),
               a.attname
        from pg_description d
        left join pg_attribute a on d.objsubid > 0
                                and a.attrelid = d.objoid and a.attnum = d.objsubid
        where d.objoid = p_oid
          and d.classoid = case p_kind when 'function' then 'pg_proc'::regclass
                                       else 'pg_class'::regclass end
    ) a
$$;

-- Returns the sum of two objects of counts: {"a": 1} and {"a": 2, "b": 1} make {"a": 3, "b": 1}.
create or replace function :own.add_counts(p_one jsonb, p_other jsonb)
returns jsonb
language sql immutable parallel safe
return case when coalesce(p_other, '{}') = '{}' then p_one else (
    select jsonb_object_agg(key, total)
    from (
        select key, sum(value::bigint) as total
        from (
            select * from jsonb_each_text(p_one)
            union all select * from jsonb_each_text(p_other)
        ) c
        group by key
    ) sums
) end;

-- What is no content of two statements of one event, as one: of a value that differs the greater,
-- except that source and message_id stay as they were first given.
create or replace function :own.merge_details(p_stored jsonb, p_stated jsonb)
returns jsonb
language sql immutable parallel safe
return case when p_stated - array['source', 'message_id'] <@ p_stored then p_stored else (
    select jsonb_object_agg(key, value)
    from (
        select distinct on (key) key, value
        from (
            select key, value, 1 as turn from jsonb_each(p_stored)
            union all select key, value, 2 from jsonb_each(p_stated)
        ) told
        order by key, case when key in ('source', 'message_id') then turn end,
                 value::text collate "C" desc
    ) merged
) end;

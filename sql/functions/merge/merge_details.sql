-- Merges the metadata of two statements of one event, content excepted. If both have a key with
-- different values, the greater one wins; source and message_id keep the stored value, and a sent_by
-- that says something wins over `unknown`.
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
        ) both_statements
        order by key, case when key in ('source', 'message_id') then turn end,
                 key = 'sent_by' and value = '"unknown"', value::text collate "C" desc
    ) merged
) end;

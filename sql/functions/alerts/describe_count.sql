-- Returns a count in the words of alerts. p_limit: where the count stopped.
create or replace function :own.describe_count(p_count bigint, p_limit bigint)
returns text
language sql immutable parallel safe
return to_char(p_count, 'FM999,999,999,999')
    || case when p_count >= p_limit then ' or more' else '' end;

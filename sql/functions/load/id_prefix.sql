-- Returns the first 24 hexadecimal digits of a series of version 7 UUIDs (RFC 9562): the current
-- milliseconds and random bits. The caller appends 8 digits of a counter for each row. Consecutive
-- ids are adjacent in every index that begins with them, so a load writes to the end of the index
-- instead of pages all over it.
create or replace function :own.id_prefix()
returns text
language sql volatile parallel safe
set search_path from current
as $$
    select lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(random, 1, 3) || '8' || substr(random, 4, 7)
    from replace(gen_random_uuid()::text, '-', '') as random
$$;

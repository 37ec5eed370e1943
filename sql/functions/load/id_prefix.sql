-- The first 24 hexadecimal digits of a row of ids of version 7 (RFC 9562): the milliseconds of now,
-- and chance; 8 digits of a counter make each a uuid. Ids that follow one another stand side by
-- side in every index that begins with them: a load writes the index's end, not pages all over it.
create or replace function :own.id_prefix()
returns text
language sql volatile parallel safe
set search_path from current
as $$
    select lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(chance, 1, 3) || '8' || substr(chance, 4, 7)
    from replace(gen_random_uuid()::text, '-', '') as chance
$$;

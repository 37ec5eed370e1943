-- By which a token is known again without being kept in the clear.
create or replace function :own.digest_of(p_token text)
returns text
language sql immutable
set search_path from current
as $$
    select encode(sha256(convert_to(p_token, 'UTF8')), 'hex')
$$;

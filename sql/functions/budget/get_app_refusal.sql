-- Returns the words with which Meta refuses the calls of an app; NULL if they are not known.
create or replace function :own.get_app_refusal(p_app_id text)
returns text
language sql stable security definer
set search_path from current
as $$
    select r.reason from app_refusals r where r.app_id = p_app_id
$$;

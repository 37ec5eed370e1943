-- Returns the name of a page in alert texts.
create or replace function :own.describe_page(p_page_id text, p_name text)
returns text
language sql immutable parallel safe
return 'Page ' || p_page_id || coalesce(' (' || nullif(left(p_name, 60), '') || ')', '');

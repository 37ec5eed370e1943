-- Remembers the size of a page's requests that Meta answered. With a NULL p_size_limit forgets it:
-- Meta answers the usual size again.
create or replace function :own.save_request_size(
    p_page_id text, p_request text, p_size_limit integer default null,
    p_nested_limit integer default null, p_patience integer default null
) returns void
language sql security definer
set search_path from current
as $$
    delete from request_sizes
    where page_id = p_page_id and request = p_request and p_size_limit is null;
    insert into request_sizes as s (page_id, request, size_limit, nested_limit, patience)
    select p_page_id, p_request, p_size_limit, p_nested_limit, p_patience
    where p_size_limit is not null
    on conflict (page_id, request) do update
        set size_limit = excluded.size_limit, nested_limit = excluded.nested_limit,
            patience = excluded.patience, updated_at = now();
$$;

-- Lets the full walk of a page that is open, or the next one, mark any number of conversations deleted.
-- It still asks Meta for each of them by its id. Without effect after a week.
create or replace function :own.accept_deletions(p_page_id text)
returns void
language sql security definer
set search_path from current
as $$
    select commit_durably();
    insert into accepted_deletions as a (page_id) values (p_page_id)
    on conflict (page_id) do update set accepted_at = now()
$$;

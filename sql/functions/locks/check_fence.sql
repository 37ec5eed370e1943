-- Raises MPL01 unless p_fence is the token of the page's lease, and keeps it so until the end of
-- the transaction. An expired lease that nobody took still counts: no one else can have written.
create or replace function :own.check_fence(p_page_id text, p_fence bigint)
returns void
language plpgsql
set search_path from current
as $$
begin
    perform from sync_locks where page_id = p_page_id and token = p_fence for key share;
    if not found then
        raise exception 'the lease on page % was lost', p_page_id
            using errcode = 'MPL01',
                  detail = coalesce(
                      (select format('held by %s since %s', locked_by, locked_at)
                       from sync_locks where page_id = p_page_id),
                      'nobody holds it');
    end if;
end
$$;

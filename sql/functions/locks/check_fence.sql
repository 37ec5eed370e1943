-- Raises MPL01 unless p_fence is the token of the page's lease. Locks the lease, so that it does
-- not change hands before the end of the transaction. An expired lease that no other run has taken
-- still counts: no other run can have written.
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
                      (select format('It has been held by %s since %s', locked_by, locked_at)
                       from sync_locks where page_id = p_page_id),
                      'No run holds it');
    end if;
end
$$;

-- Deletes claims whose drains ended in good order without settling their deliveries, such as when
-- the database was away: those ends are not the deliveries' fault.
create or replace function :own.return_webhook_claims(p_ids bigint[])
returns void
language sql security definer
set search_path from current
as $$
    delete from webhook_claims where id = any (p_ids)
$$;

-- Blocks register_page and add_account_ids until the end of the transaction: what the transaction
-- leaves waiting for an id, they will see.
create or replace function :own.block_registration()
returns void
language sql security definer
set search_path from current
as $$
    select pg_advisory_xact_lock_shared(hashtext('messenger_pipeline.register_page'))
$$;

-- Deletes up to p_limit deliveries that were settled as done or ignored more than p_keep ago.
-- Returns their number. Failed and pending deliveries stay. Also deletes old claims without a pending
-- delivery.
create or replace function :own.delete_settled_deliveries(
    p_keep interval, p_limit integer default 10000
) returns integer
language plpgsql security definer
set search_path from current
as $$
declare
    v_deleted integer;
begin
    delete from webhook_inbox
    where id = any (array(  -- not a join, which may read the whole inbox
        select id from webhook_inbox
        where settled_at < now() - p_keep and state in ('done', 'ignored')  -- as in its index
        order by settled_at limit p_limit for update skip locked));
    get diagnostics v_deleted = row_count;
    -- What nobody will settle, such as claims of deliveries that were deleted by hand.
    delete from webhook_claims c
    where c.claimed_at < now() - interval '1 day' and not exists (
        select from webhook_inbox i where i.id = any (c.deliveries) and i.state = 'pending');
    return v_deleted;
end
$$;

-- Records that a drain has claimed these deliveries and is about to parse them. Returns the claim's
-- id. Commit it before that, on another connection than the one that holds the deliveries' locks:
-- it outlives the process, while settle_webhook_deliveries deletes it with the settlement.
create or replace function :own.count_webhook_claim(p_deliveries bigint[])
returns bigint
language plpgsql security definer
set search_path from current
as $$
declare
    v_id bigint;
begin
    -- It must outlive the server, too: a delivery may be what ends that.
    perform commit_durably();
    insert into webhook_claims (deliveries) values (p_deliveries) returning id into v_id;
    return v_id;
end
$$;

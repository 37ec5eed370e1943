-- Stores the raw bodies of deliveries in one commit. Returns their ids, in the same order.
create or replace function :own.receive_webhook_deliveries(p_bodies bytea[])
returns setof bigint
language sql security definer
set search_path from current
as $$
    select commit_durably();
    insert into webhook_inbox (body) select body from unnest(p_bodies) as b (body) returning id
$$;

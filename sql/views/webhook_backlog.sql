-- The inbox by state: how many deliveries, and since when. Deliveries that wait for an unregistered
-- page have one row for each page.
create or replace view :own.webhook_backlog as
select
    case when state <> 'pending' then state
         when waiting_for is not null then 'unregistered_page'
         when attempts > 0 then 'backing_off'
         else state end as state,
    page_id,
    count(*) as deliveries,
    min(received_at) as oldest,
    max(received_at) as newest,
    max(last_error) as last_error
from webhook_inbox
left join lateral unnest(waiting_for) as page_id on true
group by 1, 2;

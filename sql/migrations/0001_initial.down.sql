-- Takes back what the walk and its bookkeeping need. Conversations, events and the registry of
-- pages stay, and so do, in our own schema, their tokens, the quarantined records and the record of
-- what is ours: the next upgrade takes all of them over again. Without the threads' state the next
-- sync of every page has to be a full one.
do $$
begin
    if exists (select from :own.webhook_inbox where state in ('pending', 'failed')) then
        raise exception 'webhook_inbox holds deliveries that are not applied; a downgrade would lose them'
            using errcode = 'MPX01', detail = 'Apply or export them first.';
    end if;
end
$$;
update :data.facebook_pages
set last_synced_at = null, watermark = null, next_sync_at = now(), failed_starts = 0;
drop table
    :own.alerts, :own.page_checks, :own.webhook_hourly_counts, :own.heartbeats,
    :own.webhook_totals, :own.sync_totals, :own.sync_requests, :own.graph_api_budget,
    :own.webhook_inbox, :own.thread_gaps, :own.messenger_threads,
    :data.sync_locks, :data.sync_state;
drop sequence :own.sync_lock_token;
delete from :own.owned_objects o
where o.kind = 'table' and not exists (
    select from pg_class c
    where c.relname = o.name and c.relnamespace = :own.find_schema(o.in_schema));

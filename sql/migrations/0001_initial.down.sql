-- Takes back what the walk and its bookkeeping needed. Conversations, events and the page
-- registry (with its encrypted tokens) stay, and so do the quarantined records: they are the
-- owner's, and the next upgrade takes them over again. With the threads' state the gaps in their history go, so the next sync of
-- every page has to be a full one.
do $$
begin
    if exists (select from webhook_inbox where state in ('pending', 'failed')) then
        raise exception 'webhook_inbox holds deliveries that are not applied; a downgrade would lose them'
            using hint = 'Apply or export them first.';
    end if;
end
$$;
update facebook_pages set last_synced_at = null, watermark = null, next_sync_at = now();
drop table graph_api_budget;
drop table webhook_inbox;
drop table sync_locks;
drop sequence sync_lock_token;
drop table thread_gaps;
drop table messenger_threads;
drop table sync_state;

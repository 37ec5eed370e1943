drop table :own.webhook_claims, :own.drain_failures;
alter table :own.quarantined_records drop column discarded_by, drop column discard_reason,
    drop column retries, drop column retry_at;
alter table :own.alerts drop column found_by;
delete from :own.owned_objects o
where o.kind = 'table' and not exists (
    select from pg_class c
    where c.relname = o.name and c.relnamespace = :own.find_schema(o.in_schema));

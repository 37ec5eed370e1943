-- Refuses a commit of deliveries that would not wait for the disk: deferred, so that it sees the
-- setting which the commit itself goes by.
create function bench_require_durable() returns trigger
language plpgsql
as $$
begin
    if current_setting('synchronous_commit') <> 'on' then
        raise exception 'a delivery is committed with synchronous_commit = %',
            current_setting('synchronous_commit');
    end if;
    return null;
end
$$;
create constraint trigger bench_require_durable after insert on webhook_inbox
    deferrable initially deferred for each row execute function bench_require_durable();

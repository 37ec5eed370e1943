-- Returns those of the first p_limit due deliveries whose body PostgreSQL cannot read, for example
-- because a page on its disk is damaged, and locks them for other callers.
create or replace function :own.list_unreadable_deliveries(
    p_limit integer, p_ids bigint[] default null
) returns table (id bigint, received_at timestamptz, attempts integer, error text)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
begin
    for id, received_at, attempts in
        select l.id, l.received_at, l.attempts
        from lock_due_deliveries(p_limit, now(), p_ids) l
    loop
        begin
            perform sha256(i.body) from webhook_inbox i where i.id = list_unreadable_deliveries.id;
        -- A lost connection or a full disk is another matter.
        exception when data_corrupted or internal_error or data_exception then
            error := format('%s: %s', sqlstate, sqlerrm);
            return next;
        end;
    end loop;
end
$$;

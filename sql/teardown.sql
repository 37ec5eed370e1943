-- Last in a downgrade to base. What is left of our own schema: the pages' tokens, the quarantined
-- records, the record of what is ours, and what the indexes of events call.
drop table if exists :own.messenger_schema_version;
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select oid from pg_proc
        where pronamespace = ':own'::regnamespace and proname not in ('message_key', 'event_kind')
    loop
        execute format('drop function %s', v_function);
    end loop;
end
$$;

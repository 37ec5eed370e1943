-- Makes anew what a rollback by hand dropped: the state of the syncs and the leases, without rows,
-- and the column `version`. Returns their names. For the unique indexes of events see
-- restore_indexes; in an adopted database the adoption first merges what was written twice.
--
-- What is known of threads, gaps and pages is in tables of its own, so that no message is missed:
-- the next sync of each page begins at its watermark.
create or replace function :own.restore_dropped()
returns setof text
language plpgsql
set search_path from current
as $$
declare
    v_object text;
    v_statement record;
begin
    if to_regclass(':own.recorded_definitions') is null
        or to_regclass(':data.messenger_conversations') is null
        or to_regclass(':data.contact_interaction_events') is null
    then
        return;
    end if;
    for v_object in
        select distinct r.object from recorded_definitions r
        where case when r.object = 'version' then not exists (
                       select from pg_attribute a
                       where a.attrelid = ':data.messenger_conversations'::regclass
                         and a.attname = 'version' and not a.attisdropped)
                   else to_regclass(format(':data.%I', r.object)) is null end
        order by 1
    loop
        if v_object = 'sync_state' then
            -- As the foreign keys would have done.
            delete from sync_requests;
            update thread_gaps set sync_session_id = null where sync_session_id is not null;
            update list_gaps set sync_session_id = null where sync_session_id is not null;
        end if;
        for v_statement in
            select r.kind, r.statement from recorded_definitions r
            where r.object = v_object order by r.position
        loop
            begin
                execute v_statement.statement;
            exception when undefined_object then
                -- A role that is gone takes its grants and policies along.
                if v_statement.kind not in ('grant', 'policy') then
                    raise;
                end if;
            end;
        end loop;
        update owned_objects
        set object_oid = to_regclass(format(':data.%I', v_object))
        where in_schema = 'data' and kind = 'table' and name = v_object;
        return next v_object;
    end loop;
end
$$;

-- CRITICAL_FIXES_MIGRATION.sql, as the guides describe it.
alter table messenger_conversations add column if not exists version integer default 0;
create index if not exists idx_conversations_version on messenger_conversations (id, version);

create unique index idx_unique_event_by_message
    on contact_interaction_events (conversation_id, (:message_id_expression))
    where (:message_id_expression) is not null;
create unique index idx_unique_event_by_timestamp
    on contact_interaction_events (conversation_id, event_type, event_timestamp);

create table sync_state (
    id uuid primary key default gen_random_uuid(),
    page_id text not null,
    user_id :user_type not null,
    last_cursor text,
    last_conversation_id text,
    total_synced integer default 0,
    is_complete boolean default false,
    sync_session_id uuid not null default gen_random_uuid(),
    started_at timestamptz default now(),
    completed_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint sync_state_page_id_sync_session_id_key unique (page_id, sync_session_id)
);
create index idx_sync_state_page on sync_state (page_id, is_complete);

create table sync_locks (
    page_id text primary key,
    locked_by :holder_type not null,
    locked_at timestamptz default now(),
    expires_at timestamptz not null
);
create index idx_sync_locks_expires on sync_locks (expires_at);

create function acquire_sync_lock(
    p_page_id :lock_page_type, p_locked_by :holder_type, p_lock_duration_seconds integer default 300
) returns boolean
language plpgsql
as $$
begin
    delete from sync_locks where page_id = p_page_id and expires_at < now();
    insert into sync_locks (page_id, locked_by, locked_at, expires_at)
    values (p_page_id, p_locked_by, now(), now() + make_interval(secs => p_lock_duration_seconds))
    on conflict (page_id) do nothing;
    return found;
end
$$;

create function release_sync_lock(p_page_id :lock_page_type, p_locked_by :holder_type)
returns boolean
language plpgsql
as $$
begin
    delete from sync_locks where page_id = p_page_id and locked_by = p_locked_by;
    return found;
end
$$;

create function extend_sync_lock(
    p_page_id :lock_page_type, p_locked_by :holder_type, p_additional_seconds integer default 300
) returns boolean
language plpgsql
as $$
begin
    update sync_locks set expires_at = now() + make_interval(secs => p_additional_seconds)
    where page_id = p_page_id and locked_by = p_locked_by;
    return found;
end
$$;

create function cleanup_expired_locks()
returns integer
language plpgsql
as $$
declare
    deleted_count integer;
begin
    delete from sync_locks where expires_at < now();
    get diagnostics deleted_count = row_count;
    return deleted_count;
end
$$;

create function upsert_conversation_with_events(
    p_user_id :user_type, p_page_id :page_type, p_sender_id text, p_sender_name text,
    p_last_message text, p_last_message_time timestamptz, p_expected_version integer, p_events jsonb
) returns table (conversation_id :id_type, is_new boolean, events_created integer)
language plpgsql
as $$
#variable_conflict use_column
declare
    v_id :id_type;
    v_new boolean := false;
    v_events integer;
begin
    update messenger_conversations c
    set sender_name = p_sender_name, last_message = p_last_message,
        last_message_time = p_last_message_time, version = c.version + 1, updated_at = now()
    where c.page_id = p_page_id and c.sender_id = p_sender_id
      and (p_expected_version is null or c.version = p_expected_version)
    returning c.id into v_id;
    if v_id is null then
        insert into messenger_conversations
            (user_id, page_id, sender_id, sender_name, last_message, last_message_time)
        values (p_user_id, p_page_id, p_sender_id, p_sender_name, p_last_message,
                p_last_message_time)
        returning id into v_id;
        v_new := true;
    end if;
    insert into contact_interaction_events
        (conversation_id, event_type, event_timestamp, :message_id_name metadata)
    select v_id, e ->> 'event_type', (e ->> 'event_timestamp')::timestamptz,
           :message_id_of_json e -> 'metadata'
    from jsonb_array_elements(p_events) e
    on conflict do nothing;
    get diagnostics v_events = row_count;
    return query select v_id, v_new, v_events;
end
$$;

create function bulk_upsert_conversations_with_events(
    p_user_id :user_type, p_page_id :page_type, p_conversations jsonb
) returns table (inserted_count integer, updated_count integer, events_count integer)
language sql
as $$
    select count(*) filter (where u.is_new)::integer, count(*) filter (where not u.is_new)::integer,
           coalesce(sum(u.events_created), 0)::integer
    from jsonb_array_elements(p_conversations) c
    cross join lateral upsert_conversation_with_events(
        p_user_id, p_page_id, c ->> 'sender_id', c ->> 'sender_name', c ->> 'last_message',
        (c ->> 'last_message_time')::timestamptz, null, c -> 'events') u
$$;

create view active_syncs as
select l.page_id, l.locked_by, l.locked_at, l.expires_at, s.sync_session_id, s.total_synced,
       s.last_cursor is not null as can_resume,
       extract(epoch from now() - l.locked_at) as duration_seconds
from sync_locks l
left join sync_state s on s.page_id = l.page_id and not s.is_complete
where l.expires_at > now();

create view sync_statistics as
select page_id, user_id, count(*) as total_syncs,
       count(*) filter (where is_complete) as completed_syncs,
       sum(total_synced) as total_conversations,
       max(updated_at) as last_sync_at
from sync_state
group by page_id, user_id;

grant execute on function acquire_sync_lock, release_sync_lock, extend_sync_lock,
    upsert_conversation_with_events, bulk_upsert_conversations_with_events
    to replaced_application;
grant select, insert, update, delete on sync_state, sync_locks to replaced_application;
grant select on active_syncs, sync_statistics to replaced_application;
comment on function acquire_sync_lock is 'Distributed lock';

insert into sync_state (id, page_id, user_id, total_synced, is_complete, sync_session_id, last_cursor,
                        started_at, completed_at, created_at, updated_at)
select md5('state ' || n)::uuid, account_id, :owner, 25, n % 3 <> 0, md5('session ' || n)::uuid,
       case when n % 3 = 0 then 'https://graph.facebook.com/next' end,
       '2024-06-01 11:00:00+00', case when n % 3 <> 0 then timestamptz '2024-06-01 12:00:00+00' end,
       '2024-06-01 11:00:00+00', '2024-06-01 12:00:00+00'
from (select n, n as page_n, account_id from source_pages) p;
insert into sync_locks (page_id, locked_by, locked_at, expires_at)
select account_id, :holder_value, '2024-06-01 11:00:00+00', '2024-06-01 11:05:00+00'
from source_pages where n = 1;

-- Returns the keys of the messages that the events in p_conversations name.
create or replace function :own.list_message_keys(p_conversations jsonb)
returns text[]
language sql immutable
set search_path from current
as $$
    select array_agg(distinct message_key(e.message_id) collate "C")
    from jsonb_to_recordset(p_conversations) as i (events jsonb)
    cross join lateral jsonb_to_recordset(i.events) as e (message_id text)
    where e.message_id is not null
$$;

-- Returns the checks of the guide for the team's chats, as check_guide_rows does; no row where the data
-- schema has no chat_messages or chat_participants. They may be somebody else's: what this role may
-- not read is not counted (violations is NULL).
create or replace function :own.check_chats()
returns table (name text, violations bigint, shown text, says text)
language plpgsql stable
set search_path from current
as $$
declare
    v_participants regclass := to_regclass(':data.chat_participants');
    v_messages regclass := to_regclass(':data.chat_messages');
begin
    if v_participants is not null then
        return query select * from count_nulls('chat_participant_keys', v_participants, array['chat_id', 'user_id']);
        return query
        select 'chat_participant_columns'::text, 2 - count(*), format('%s of 2', count(*)),
               'chat_participants.chat_id and user_id are not null'::text
        from pg_attribute a
        where a.attrelid = v_participants and a.attname in ('chat_id', 'user_id') and a.attnotnull;
    end if;
    if v_messages is not null then
        return query select * from count_nulls('chat_message_seq', v_messages, array['seq']);
        return query
        select 'chat_message_indexes'::text, 2 - count(distinct a.attname),
               format('%s of 2', count(distinct a.attname)),
               'chat_messages has valid indexes on sender_id and reply_to'::text
        from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = v_messages and i.indisvalid and a.attname in ('sender_id', 'reply_to');
        return query
        select 'chat_functions'::text, 2 - count(distinct p.proname),
               format('%s of 2', count(distinct p.proname)),
               'mark_messages_as_read and get_unread_count are there, and return a number'::text
        from pg_proc p
        where p.pronamespace = ':data'::regnamespace
          and p.proname in ('mark_messages_as_read', 'get_unread_count')
          and p.prorettype in ('integer'::regtype, 'bigint'::regtype);
    end if;
end
$$;

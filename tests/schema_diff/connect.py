"""The two databases of the guide that aligns Connect-Prod and Connect-Staging, as it describes
them: production lacks not null and an index; staging lacks a function and an index, and one function
there returns nothing."""

SHARED = """
create table chats (id uuid primary key, title text);
create table chat_messages (
    id uuid primary key default gen_random_uuid(),
    chat_id uuid not null references chats (id),
    seq bigint not null,
    sender_id uuid not null,
    reply_to uuid references chat_messages (id),
    body text,
    created_at timestamptz not null default now(),
    unique (chat_id, seq)
);
create table chat_participants (
    chat_id uuid, user_id uuid, last_read_seq bigint not null default 0,
    unique (chat_id, user_id)
);
create function add_chat_participant(p_chat_id uuid, p_user_id uuid) returns void language sql as $$
    insert into chat_participants values (p_chat_id, p_user_id) on conflict do nothing
$$;
create function send_chat_message(p_chat_id uuid, p_sender_id uuid, p_body text, p_reply_to uuid
    default null) returns bigint language sql as $$
    insert into chat_messages (chat_id, seq, sender_id, body, reply_to)
    select p_chat_id, coalesce(max(seq), 0) + 1, p_sender_id, p_body, p_reply_to
    from chat_messages where chat_id = p_chat_id returning seq
$$;
create function get_chat_messages(p_chat_id uuid, p_after bigint) returns setof chat_messages
    language sql stable as 'select * from chat_messages where chat_id = $1 and seq > $2 order by seq';
grant execute on function add_chat_participant to align_web;
"""

PRODUCTION = """
create index idx_chat_messages_reply_to on chat_messages (reply_to);
create function mark_messages_as_read(p_chat_id uuid, p_user_id uuid) returns integer language plpgsql
as $$
declare v_count integer;
begin
    select count(*) into v_count from chat_messages m join chat_participants p
        on p.chat_id = m.chat_id where m.chat_id = p_chat_id and p.user_id = p_user_id
        and m.seq > p.last_read_seq and m.sender_id <> p_user_id;
    update chat_participants set last_read_seq =
        (select coalesce(max(seq), 0) from chat_messages where chat_id = p_chat_id)
        where chat_id = p_chat_id and user_id = p_user_id;
    return v_count;
end $$;
revoke all on function mark_messages_as_read from public;
grant execute on function mark_messages_as_read to align_web;
create function get_unread_count(p_chat_id uuid, p_user_id uuid) returns integer language sql stable
as $$
    select count(*)::integer from chat_messages m join chat_participants p on p.chat_id = m.chat_id
    where m.chat_id = p_chat_id and p.user_id = p_user_id and m.seq > p.last_read_seq
      and m.sender_id <> p_user_id
$$;
"""

STAGING = """
alter table chat_participants alter column chat_id set not null;
alter table chat_participants alter column user_id set not null;
create index idx_chat_messages_sender_id on chat_messages (sender_id);
create function mark_messages_as_read(p_chat_id uuid, p_user_id uuid) returns void language sql as $$
    update chat_participants set last_read_seq =
        (select coalesce(max(seq), 0) from chat_messages where chat_id = p_chat_id)
        where chat_id = p_chat_id and user_id = p_user_id
$$;
revoke all on function mark_messages_as_read from public;
grant execute on function mark_messages_as_read to align_web;
"""

ROWS = """
insert into chats select gen_random_uuid(), 'chat ' || n from generate_series(1, 3) n;
insert into chat_participants select id, '00000000-0000-0000-0000-000000000001' from chats;
select send_chat_message(id, '00000000-0000-0000-0000-000000000002', 'hi') from chats, generate_series(1, 61);
"""
"""183 messages, as the guide counts them."""

-- Records the id of the contact of a thread that had none, and moves the thread's events to the
-- contact's conversation.
create or replace function :own.identify_thread_contact(
    p_page_id text, p_thread_id text, p_sender_id text
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_from messenger_conversations;
    v_to :conversation_id_type;
    v_new :conversation_id_type[] := '{}';
    v_twice :event_id_type[];
    v_stays :event_id_type[];
    v_moved :event_id_type[];
    v_messages integer;
    v_name_as_of timestamptz;
begin
    update contactless_threads
    set sender_id = p_sender_id
    where page_id = p_page_id and thread_id = p_thread_id and sender_id is null;
    if not found then
        return;
    end if;
    select * into v_from from messenger_conversations c
    where c.page_id = p_page_id and c.sender_id = p_thread_id;
    if not found then
        return;
    end if;
    insert into messenger_conversations as c
        (id, page_id, sender_id, user_id, conversation_status, deleted_at)
    overriding system value
    values (:new_conversation_id(gen_random_uuid()), p_page_id, p_sender_id, v_from.user_id, v_from.conversation_status, v_from.deleted_at)
    on conflict (page_id, sender_id) do nothing
    returning array[c.id] into v_new;
    perform from messenger_conversations c
    where c.page_id = p_page_id and c.sender_id in (p_thread_id, p_sender_id)
    order by c.sender_id for update;
    select c.id into v_to from messenger_conversations c
    where c.page_id = p_page_id and c.sender_id = p_sender_id;

    -- Events without a message id are unique by their conversation and time.
    select array_agg(e.id), array_agg(o.id) into v_twice, v_stays
    from contact_interaction_events e
    join contact_interaction_events o
        on o.conversation_id = v_to and o.message_id is null and o.event_type = e.event_type
       and o.event_timestamp = e.event_timestamp and o.discriminator = e.discriminator
    where e.conversation_id = v_from.id and e.message_id is null;
    if v_twice is not null then
        perform follow_merged_rows('contact_interaction_events', v_twice::text[], v_stays::text[]);
        delete from contact_interaction_events e where e.id = any (v_twice);
    end if;
    with moved as (
        update contact_interaction_events e set conversation_id = v_to
        where e.conversation_id = v_from.id
        returning e.id, event_kind(e.event_type) as kind
    )
    select coalesce(array_agg(id), '{}'), count(*) filter (where kind = 'message')
        into v_moved, v_messages from moved;
    update messenger_conversations c set message_count = c.message_count + v_messages
    where c.id = v_to;
    update messenger_threads t
    set conversation_id = v_to, sender_id = p_sender_id
    where t.page_id = p_page_id and t.thread_id = p_thread_id;
    perform move_restatements(v_moved, v_from.id, v_to);
    v_name_as_of := greatest(
        v_from.sender_name_as_of, restated_as_of(v_from.id, :name_id(v_from.id), v_from.sender_name_as_of));
    perform follow_merged_rows(
        'messenger_conversations', array[v_from.id::text], array[v_to::text]);
    delete from messenger_conversations c where c.id = v_from.id;
    perform refresh_conversations(
        jsonb_build_array(jsonb_build_object(
            'sender_id', p_sender_id, 'sender_name', v_from.sender_name,
            'as_of', coalesce(v_name_as_of, '0002-01-01 UTC'))),
        array[p_sender_id], array[v_to], coalesce(v_new, '{}'), '{}', '{}', '{}', '{}');
end
$$;

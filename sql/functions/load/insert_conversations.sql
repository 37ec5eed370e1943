-- Inserts the conversations that do not exist yet and have events in this call. Returns their ids.
create or replace function :own.insert_conversations(p_page_id text, p_conversations jsonb)
returns :conversation_id_type[]
language plpgsql
set search_path from current
as $$
declare
    v_prefix text := id_prefix();
    v_new :conversation_id_type[];
begin
    with added as (
        insert into messenger_conversations (id, page_id, sender_id, user_id, updated_at)
        overriding system value
        select :new_conversation_id(v_prefix || lpad(to_hex(row_number() over ()), 8, '0')), p_page_id,
               i.sender_id,
               (select :to_conversation_user(p.user_id) from facebook_pages p where p.facebook_page_id = p_page_id),
               now()
        from jsonb_to_recordset(p_conversations) as i (sender_id text, events jsonb)
        where jsonb_array_length(i.events) > 0
        order by i.sender_id collate "C"
        on conflict (page_id, sender_id) do nothing
        returning id
    )
    select coalesce(array_agg(id), '{}') into v_new from added;
    return v_new;
end
$$;

-- Loads the events of webhook deliveries, and announces each changed conversation on the channel
-- messenger_changes as {"page_id", "conversation_id"}.
--
-- p_pages: [{page_id, conversations}]; for conversations see merge_conversations.
-- p_received: see count_webhook_items.
-- refused: [{page_id, reason, record}], each record a conversation with one event.
-- new_contacts: [{page_id, sender_id}] of the new conversations.
--
-- A crash of the server undoes these rows together with the settlement of their deliveries, which
-- are then applied again. So the commit need not wait for the disk.
create or replace function :own.load_webhook_events(p_pages jsonb, p_received jsonb default '[]')
returns table (
    events_created integer, inserted integer, updated integer, refused jsonb, new_contacts jsonb
)
language plpgsql security definer
set search_path from current
as $$
declare
    v_page record;
    v_loaded record;
begin
    perform set_config('synchronous_commit', 'off', true);
    events_created := 0;
    inserted := 0;
    updated := 0;
    refused := '[]';
    new_contacts := '[]';
    -- In a fixed order, so that two drains do not deadlock.
    for v_page in
        select p.page_id, p.conversations
        from jsonb_to_recordset(p_pages) as p (page_id text, conversations jsonb)
        order by p.page_id collate "C"
    loop
        -- P0: a trigger of the database's owner rejects the row.
        select * into v_loaded from load_conversations(
            v_page.page_id, v_page.conversations, null, array['22', '23', '54', 'P0']);
        perform cover_messages(v_page.page_id, v_page.conversations);
        perform resolve_arrived(v_page.page_id, v_page.conversations);
        events_created := events_created + v_loaded.events_created;
        inserted := inserted + v_loaded.inserted;
        updated := updated + v_loaded.updated;
        refused := refused || coalesce((
            select jsonb_agg(r || jsonb_build_object('page_id', v_page.page_id))
            from jsonb_array_elements(v_loaded.refused) as r), '[]');
        new_contacts := new_contacts || coalesce((
            select jsonb_agg(jsonb_build_object('page_id', v_page.page_id,
                                                'sender_id', c ->> 'sender_id'))
            from jsonb_array_elements(v_loaded.changed) as c
            where (c -> 'inserted')::boolean), '[]');
        perform pg_notify('messenger_changes', jsonb_build_object(
            'page_id', v_page.page_id, 'conversation_id', c ->> 'conversation_id')::text)
        from jsonb_array_elements(v_loaded.changed) as c;
    end loop;
    -- Last: all drains of a page update the same row, and wait for each other from here on.
    perform count_webhook_items(p_received);
    return next;
end
$$;

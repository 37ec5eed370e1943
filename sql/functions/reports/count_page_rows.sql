-- The rows that are stored of one page. Both counts come from indexes alone.
create or replace function :own.count_page_rows(p_page_id text)
returns table (conversations bigint, events bigint)
language sql stable
set search_path from current
as $$
    select
        (select count(*) from messenger_conversations where page_id = p_page_id),
        (select count(*) from contact_interaction_events
         where page_id = p_page_id and message_id is not null)
        -- Those without an id are few, and found by their conversation.
        + (select count(*)
           from messenger_conversations c
           join contact_interaction_events e
             on e.conversation_id = c.id and e.message_id is null
           where c.page_id = p_page_id)
$$;

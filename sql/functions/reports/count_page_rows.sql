-- Returns the numbers of stored conversations and events of a page. Both come from index-only
-- scans.
create or replace function :own.count_page_rows(p_page_id text)
returns table (conversations bigint, events bigint)
language sql stable security definer
set search_path from current
as $$
    select
        (select count(*) from messenger_conversations where page_id = p_page_id),
        (select count(*) from contact_interaction_events
         where page_id = p_page_id and message_id is not null)
        -- Events without a message id are few; the index on their conversation finds them.
        + (select count(*)
           from messenger_conversations c
           join contact_interaction_events e
             on e.conversation_id = c.id and e.message_id is null
           where c.page_id = p_page_id)
$$;

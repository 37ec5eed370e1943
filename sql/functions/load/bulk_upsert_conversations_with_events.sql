-- Merges conversations and their events, all or nothing: see merge_conversations.
--
-- p_fence: the fencing token of the page's lease (MPL01 if it is lost); NULL: no lease is needed.
create or replace function :data.bulk_upsert_conversations_with_events(
    p_page_id text, p_conversations jsonb, p_fence bigint default null
) returns table (
    sender_id text, conversation_id :conversation_id_type, inserted boolean, updated boolean,
    version integer, events_created integer
)
language sql security definer
set search_path from current
as $$
    select commit_durably();
    select m.sender_id, m.conversation_id, m.inserted, m.updated, m.version, m.events_created
    from merge_conversations(p_page_id, p_conversations, p_fence) m
$$;

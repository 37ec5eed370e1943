-- Returns when the stored content of an event, or the stored name of a conversation, was last stated
-- again, if that is at p_from or later; else NULL.
create or replace function :own.restated_as_of(
    p_conversation_id :conversation_id_type, p_id :event_id_type, p_from timestamptz
) returns timestamptz
language sql stable
set search_path from current
as $$
    select max(r.as_of) from restatements r
    where r.conversation_id = p_conversation_id and r.as_of >= p_from and p_id = any (r.ids)
$$;

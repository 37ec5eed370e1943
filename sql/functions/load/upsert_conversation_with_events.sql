-- Merges one conversation and its events. Returns the outcome, or no row if all events belong to
-- another conversation.
--
-- p_expected_version: the version that the conversation must have (0 also stands for one that does
--   not exist yet), else MPV01 and no change; NULL: any version. It says nothing about other
--   conversations that the call changes.
create or replace function :data.upsert_conversation_with_events(
    p_page_id text, p_conversation jsonb, p_events jsonb, p_expected_version integer default null
) returns table (
    sender_id text, conversation_id :conversation_id_type, inserted boolean, updated boolean,
    version integer, events_created integer
)
language plpgsql security definer
set search_path from current
as $$
#variable_conflict use_column
declare
    v_row record;
    v_before integer;
begin
    perform commit_durably();
    select * into v_row from merge_conversations(
        p_page_id, jsonb_build_array(p_conversation || jsonb_build_object('events', p_events))) m
    where m.sender_id = p_conversation ->> 'sender_id';
    -- The call holds the row's lock now, so its version before the call is certain.
    v_before := coalesce(v_row.version - v_row.updated::integer, 0);
    if v_before <> p_expected_version then
        raise exception 'the conversation of page % with % is at version %, not %',
            p_page_id, p_conversation ->> 'sender_id', v_before, p_expected_version
            using errcode = 'MPV01', hint = 'Read it again and retry.';
    end if;
    if v_row.sender_id is not null then
        return query select v_row.sender_id, v_row.conversation_id, v_row.inserted, v_row.updated,
                            v_row.version, v_row.events_created;
    end if;
end
$$;

-- Merges one conversation and its events. With p_expected_version the conversation must be at
-- that version (0 also stands for one that does not exist yet), else MPV01 and no change.
create or replace function upsert_conversation_with_events(
    p_page_id text, p_conversation jsonb, p_events jsonb, p_expected_version integer default null
) returns table (
    sender_id text, conversation_id uuid, inserted boolean, updated boolean,
    version integer, events_created integer
)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_version integer;
begin
    if p_expected_version is not null then
        select c.version into v_version from messenger_conversations c
        where c.page_id = p_page_id and c.sender_id = p_conversation ->> 'sender_id'
        for no key update;
        if coalesce(v_version, 0) <> p_expected_version then
            raise exception 'the conversation of page % with % is at version %, not %',
                p_page_id, p_conversation ->> 'sender_id', v_version, p_expected_version
                using errcode = 'MPV01', hint = 'Read it again and decide anew.';
        end if;
    end if;
    return query
    select * from bulk_upsert_conversations_with_events(
        p_page_id, jsonb_build_array(p_conversation || jsonb_build_object('events', p_events)));
end
$$;

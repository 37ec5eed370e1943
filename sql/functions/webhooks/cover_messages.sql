-- Records that webhooks brought messages and reactions which a sync had stored first. p_conversations: see
-- merge_conversations.
create or replace function :own.cover_messages(p_page_id text, p_conversations jsonb)
returns void
language plpgsql
set search_path from current
set enable_seqscan = off  -- see merge_conversations
set jit = off
as $$
declare
    v_messages text[];
    v_reactions text[];
begin
    -- Rare, and much faster than the rest.
    if exists (select from uncovered_messages u
               where u.page_id = p_page_id and u.covered_at is null)
    then
        select array_agg(message_key(e.message_id)) filter (where event_kind(e.event_type) <> 'reaction'),
               array_agg(message_key(e.message_id)) filter (where event_kind(e.event_type) = 'reaction')
        into v_messages, v_reactions
        from jsonb_to_recordset(p_conversations) as i (events jsonb)
        cross join lateral jsonb_to_recordset(i.events) as e (event_type text, message_id text)
        -- The API lists what a person pressed or followed as a message of the same id.
        where event_kind(e.event_type) in ('message', 'postback', 'referral', 'optin', 'reaction');
        -- With an array of keys, and not a join, each is looked up.
        update uncovered_messages u set covered_at = now()
        where u.page_id = p_page_id and u.message_key = any (v_messages) and u.kind = 'message'
          and u.covered_at is null;
        update uncovered_messages u set covered_at = now()
        where u.page_id = p_page_id and u.message_key = any (v_reactions) and u.kind = 'reaction'
          and u.covered_at is null;
    end if;
end
$$;

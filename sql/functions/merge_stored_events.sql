-- Merges events into rows that are there already; writes only what changes. Returns the
-- conversations whose events changed.
--
-- The rules commute and repeat without effect (messenger_pipeline/events.py states them in
-- Python, and a test holds the two together): of two directions the greater, an unknown one being
-- the least; of two times the finer, then the earlier; of two contents the later stated, then the
-- greater; what is no content (source, ids, what only a webhook tells) is kept from both, first
-- given first. An unsent message keeps no text. A content that is stated again keeps the time of
-- its first statement: to note each repetition would write every row that is read again.
create or replace function merge_stored_events(p_page_id text, p_conversations jsonb)
returns table (conversation_id uuid)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_row record;
    v_turn integer := 1;
    v_changed uuid[] := '{}';
begin
    -- An update changes a row once: the second statement of one event in this call has the second
    -- turn. Mostly there is one.
    loop
        select * into v_row from merge_stored_events_turn(p_page_id, p_conversations, v_turn);
        v_changed := v_changed || v_row.changed;
        exit when not v_row.is_more;
        v_turn := v_turn + 1;
    end loop;
    return query select distinct c from unnest(v_changed) as c;
end
$$;

-- Merges events into rows that are there already; writes only what changes. Returns the
-- conversations whose events changed, and when the latest that changed them was stated.
--
-- The rules commute and repeat without effect (messenger_pipeline/merge.py states them in
-- Python, and a test holds the two together): of two directions the greater, an unknown one being
-- the least; of two times the finer, then the earlier; of two contents the later stated, then the
-- greater; what is no content (source, ids, what only a webhook tells) is kept from both (see
-- merge_details). An unsent message keeps no content. A content that is stated again has the time
-- of its earliest statement: to note each repetition would write every row that is read again.
-- (So a content that is taken back and comes again, told in another order, may lose.) What an edit
-- changed is put aside here; merge_changes puts it on again.
--
-- Whoever calls this holds the conversations that the events belong to: nobody else changes them
-- between reading and writing.
create or replace function :own.merge_stored_events(p_page_id text, p_conversations jsonb)
returns table (conversation_id uuid, as_of timestamptz)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_row record;
    v_turn integer := 1;
    v_changed uuid[] := '{}';
    v_as_of timestamptz[] := '{}';
begin
    -- An update changes a row once: the second statement of one event in this call has the second
    -- turn. Mostly there is one.
    loop
        select * into v_row from merge_stored_events_turn(p_page_id, p_conversations, v_turn);
        v_changed := v_changed || v_row.changed;
        v_as_of := v_as_of || v_row.changed_as_of;
        exit when not v_row.is_more;
        v_turn := v_turn + 1;
    end loop;
    return query
    select c.id, max(c.as_of) from unnest(v_changed, v_as_of) as c (id, as_of) group by c.id;
end
$$;

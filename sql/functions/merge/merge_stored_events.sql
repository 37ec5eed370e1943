-- Merges events into rows that exist already. Writes only changed rows. Returns the conversations
-- whose events changed, and when the latest change was stated. The caller holds the locks of the
-- events' conversations, so nobody else changes them between reading and writing.
--
-- The rules are commutative and idempotent. messenger_pipeline/merge.py states them in Python, and
-- a test compares the two.
--
-- - direction: the greater wins; an unknown one is the least.
-- - time: the more precise wins, then the earlier.
-- - content: the one stated later wins, then the greater. An unsent message keeps no content.
-- - attachments are joined: see join_attachments.
-- - everything else (source, ids, what only webhooks send) is kept from both: see merge_details.
--
-- Content that is stated again counts as stated at its latest time. Writing that time into each row
-- that is read again would cost too much, so it is recorded apart (see record_restatements). When it
-- was stated first is kept, too, because an edit may be older than the restatement. The effect of an
-- edit is set aside here; merge_changes applies it again.
--
-- p_names, p_names_as_of: as list_restated_names returns them; recorded together with the content,
-- for one row instead of two.
create or replace function :own.merge_stored_events(
    p_page_id text, p_conversations jsonb, p_names :conversation_id_type[], p_names_as_of timestamptz[]
) returns table (conversation_id :conversation_id_type, as_of timestamptz)
language plpgsql
set search_path from current
as $$
#variable_conflict use_column
declare
    v_row record;
    v_statements jsonb := p_conversations;
    v_turn integer := 1;
    v_is_first boolean := true;
    v_changed :conversation_id_type[] := '{}';
    v_as_of timestamptz[] := '{}';
begin
    -- One update changes a row only once. Usually each event is stated once and there is one turn. If
    -- not, all statements of such an event are combined to two, which take two turns more.
    loop
        select * into v_row from merge_stored_events_turn(p_page_id, v_statements, v_turn);
        v_changed := v_changed || v_row.changed;
        v_as_of := v_as_of || v_row.changed_as_of;
        if v_is_first then
            perform record_restatements(
                p_names || v_row.restated_in, :name_ids(p_names) || v_row.restated,
                p_names_as_of || v_row.restated_as_of);
        else
            perform record_restatements(v_row.restated_in, v_row.restated, v_row.restated_as_of);
        end if;
        exit when not v_row.is_more;
        if v_is_first then
            v_statements := combine_statements(p_conversations);
            v_is_first := false;
        else
            v_turn := v_turn + 1;
        end if;
    end loop;
    return query
    select c.id, max(c.as_of) from unnest(v_changed, v_as_of) as c (id, as_of) group by c.id;
end
$$;

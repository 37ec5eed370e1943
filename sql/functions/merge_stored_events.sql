-- Merges events into rows that are there already; writes only what changes.
--
-- The rules commute and repeat without effect (messenger_pipeline/events.py states them in
-- Python, and a test holds the two together): a known direction replaces an unknown one; of two
-- times the finer wins, then the earlier; of two contents the later stated, then the greater;
-- what is no content (source, ids, what only a webhook tells) is kept from both, first given
-- first. An unsent message keeps no text.
create or replace function merge_stored_events(p_page_id text, p_conversations jsonb)
returns void
language plpgsql
set search_path from current
set plan_cache_mode = force_custom_plan
as $$
declare
    v_turn integer := 1;
begin
    -- An update changes a row once: the second statement of one event in this call has the second
    -- turn. Mostly there is one.
    while merge_stored_events_turn(p_page_id, p_conversations, v_turn) loop
        v_turn := v_turn + 1;
    end loop;
end
$$;

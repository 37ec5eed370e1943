-- Called before messages without an id are taken from the events, because messages with an id claim
-- them: see follow_merged_rows.
--
-- p_ids, p_keys: the messages, and the keys of those that claim them.
create or replace function :own.follow_claimed_events(
    p_page_id text, p_ids :event_id_type[], p_keys text[]
) returns void
language plpgsql
set search_path from current
as $$
declare
    v_claimed text[];
    v_claiming text[];
begin
    if p_ids is null then
        return;
    end if;
    select array_agg(k.id::text), array_agg(n.id::text) into v_claimed, v_claiming
    from unnest(p_ids, p_keys) as k (id, key)
    join contact_interaction_events n
        on n.page_id = p_page_id and n.message_id is not null and message_key(n.message_id) = k.key
       and event_kind(n.event_type) = 'message' and n.discriminator = '';
    perform follow_merged_rows('contact_interaction_events', v_claimed, v_claiming);
end
$$;

-- Adds to the totals of a page's syncs.
--
-- p_more: {sessions, runs, conversations, api_errors: {name: count}, events_created, quarantined,
--   api_calls, waited_seconds}; each key is optional.
create or replace function :own.add_to_sync_totals(p_page_id text, p_more jsonb)
returns void
language sql
set search_path from current
as $$
    insert into sync_totals as t (page_id, sessions, runs, conversations, events_created,
        quarantined, api_calls, api_errors, waited_seconds)
    select p_page_id, coalesce(n.sessions, '{}'), coalesce(n.runs, '{}'),
           coalesce(n.conversations, '{}'), coalesce(n.events_created, 0),
           coalesce(n.quarantined, 0), coalesce(n.api_calls, 0), coalesce(n.api_errors, '{}'),
           coalesce(n.waited_seconds, 0)
    from jsonb_to_record(p_more) as n (sessions jsonb, runs jsonb, conversations jsonb,
        events_created bigint, quarantined bigint, api_calls bigint, api_errors jsonb,
        waited_seconds double precision)
    on conflict (page_id) do update
        set sessions = add_counts(t.sessions, excluded.sessions),
            runs = add_counts(t.runs, excluded.runs),
            conversations = add_counts(t.conversations, excluded.conversations),
            events_created = t.events_created + excluded.events_created,
            quarantined = t.quarantined + excluded.quarantined,
            api_calls = t.api_calls + excluded.api_calls,
            api_errors = add_counts(t.api_errors, excluded.api_errors),
            waited_seconds = t.waited_seconds + excluded.waited_seconds
$$;

-- Returns the checks of the guides of the application that this replaces that concern rows: how many
-- break it, out of how many, and a sentence. Those of chats stand in check_chats.
create or replace function :own.check_guide_rows()
returns table (name text, violations bigint, shown text, says text)
language sql stable
set search_path from current
as $$
    with broken (name, bad, looked_at, says) as (
        select 'duplicate_conversations', coalesce(sum(n) filter (where n > 1), 0),
               coalesce(sum(n), 0), 'conversations share page_id and sender_id with another'
        from (select count(*) as n from messenger_conversations group by page_id, sender_id) g
        union all
        select 'conversation_keys', count(*) filter (where id is null or page_id is null
               or sender_id is null or sender_id = ''), count(*),
               'conversations without id, page_id or sender_id'
        from messenger_conversations
        union all
        select 'conversation_versions', count(*) filter (where version is null or version < 0),
               count(*), 'conversations without a version'
        from messenger_conversations
        union all
        select 'event_keys', count(*) filter (where conversation_id is null or event_type is null
               or event_timestamp is null), count(*),
               'events without conversation_id, event_type or event_timestamp'
        from contact_interaction_events
        union all
        select 'event_conversations', count(*) filter (where c.id is null), count(*),
               'events whose conversation is not there'
        from contact_interaction_events e
        left join messenger_conversations c on c.id = e.conversation_id
        union all
        select 'stuck_locks', (select count(*) from list_stuck_leases('5 minutes', '15 minutes', null)),
               count(*), 'locks that nobody releases: select cleanup_expired_locks();'
        from sync_locks
        union all
        select 'visible_rows',
               count(*) filter (
                   where row_security_active(c.oid) and not (coalesce(p.shows, false) and not coalesce(p.hides, false))),
               count(*),
               format('tables whose rows row level security may hide from role %s: no count says anything then', current_user)
        from pg_class c
        left join lateral (
            select bool_or(p.polpermissive and pg_get_expr(p.polqual, p.polrelid) = 'true') as shows,
                   bool_or(not p.polpermissive
                           and pg_get_expr(p.polqual, p.polrelid) <> 'true') as hides
            from pg_policy p
            where p.polrelid = c.oid and p.polcmd in ('*', 'r')
              and exists (select from unnest(p.polroles) as g (grantee)
                          where g.grantee = 0 or pg_has_role(g.grantee, 'usage'))
        ) p on true
        where c.relnamespace = ':data'::regnamespace
          and c.relname in ('facebook_pages', 'messenger_conversations',
                            'contact_interaction_events', 'sync_state', 'sync_locks')
    )
    select name, bad, format('%s of %s', to_char(bad, 'FM999,999,999,990'),
                             to_char(looked_at, 'FM999,999,999,990')), says
    from broken
$$;

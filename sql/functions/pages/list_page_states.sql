-- Returns p_limit pages of the registry from p_offset on: those whose owner must act first, then by
-- name. `found` is the number of all matching pages; beyond the last page there is no row to carry
-- it.
--
-- p_search: a part of the name (in any case) or of Facebook's id; '' matches every page. % and _
--   are literal.
-- p_status: only pages with this status; NULL: all that are not removed.
-- conversations, messages: counted for the returned rows only, up to 10,000 conversations of a
--   page.
-- conversations_more: whether the count reached that limit.
-- quarantined: at most 10,000 are counted.
create or replace function :own.list_page_states(
    p_search text, p_status text, p_offset integer, p_limit integer
) returns table (
    id text, page_id text, page_name text, platform text, status text, status_reason text,
    has_token boolean,
    last_synced_at timestamptz, next_sync_at timestamptz, lag_seconds double precision,
    conversations bigint, messages bigint, conversations_more boolean, quarantined bigint,
    open_sessions uuid[], found bigint
)
language sql stable security definer
set search_path from current
-- A page can have most of the rows: without this, the others' counts would read them, too.
set enable_seqscan = off
set jit = off  -- a plan without what is off looks too expensive not to be compiled
as $$
    with found as materialized (
        select p.id, p.facebook_page_id, p.name, p.platform, p.status, p.status_reason,
               p.last_synced_at, p.next_sync_at, count(*) over () as found
        from facebook_pages p
        cross join (
            select replace(replace(replace(p_search, '\', '\\'), '%', '\%'), '_', '\_') as pattern
        ) f
        where (p.status = p_status or (p_status is null and p.status <> 'removed'))
          and (p_search = ''
               or p.facebook_page_id like '%' || f.pattern || '%'
               or p.name ilike '%' || f.pattern || '%')
        order by p.status <> 'needs_reauthorization', lower(p.name), p.facebook_page_id
        offset p_offset limit p_limit
    )
    select p.id::text, p.facebook_page_id, p.name, p.platform, p.status, p.status_reason,
           exists (select from page_tokens t where t.page_id = p.facebook_page_id),
           p.last_synced_at, p.next_sync_at,
           extract(epoch from now() - p.last_synced_at)::double precision,
           c.conversations, c.messages, c.conversations >= 10000,
           (select count(*) from (
                select from quarantined_records r
                where r.page_id = p.facebook_page_id and r.resolved_at is null
                limit 10000) q),
           array(select s.sync_session_id from sync_state s
                 where s.page_id = p.facebook_page_id and s.outcome is null
                 order by s.started_at desc),
           p.found
    from found p
    -- The message counts are in no index, so this reads rows: hence the limit.
    left join lateral (
        select count(*) as conversations, coalesce(sum(m.message_count), 0) as messages
        from (select message_count from messenger_conversations
              where page_id = p.facebook_page_id limit 10000) m) c on true
    order by p.status <> 'needs_reauthorization', lower(p.name), p.facebook_page_id
$$;

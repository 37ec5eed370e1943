-- Returns the pages of which syncs find messages or reactions that no webhook brought within an hour,
-- though the page is subscribed: at least five of a day and a fifth of all of their kind (received,
-- sent by the page, or reactions), or messages of at least three people of whom webhooks brought nothing for a week.
--
-- Of a kind the first message of a conversation does not count: Meta lists a line such as "… started a
-- conversation" as a message, and sends no webhook for it.
create or replace function :own.find_coverage_conditions()
returns table (kind text, page_id text, severity text, summary text, details jsonb)
language sql stable
set search_path from current
set enable_seqscan = off  -- lookups of each page, not all messages for each
set jit = off  -- compiling takes longer than running it
as $$
    with missing as (
        select p.facebook_page_id as page_id, p.name,
               count(*) filter (where u.kind = 'reaction'
                                  and u.event_timestamp > now() - interval '1 day') as reactions,
               count(*) filter (where u.kind = 'message' and not u.is_sent and not f.is_first
                                  and u.event_timestamp > now() - interval '1 day') as received,
               count(*) filter (where u.kind = 'message' and u.is_sent and not f.is_first
                                  and u.event_timestamp > now() - interval '1 day') as sent,
               count(distinct u.sender_id) filter (where u.kind = 'message' and not u.is_sent and not exists (
                   select from uncovered_messages o
                   where o.page_id = u.page_id and o.sender_id = u.sender_id
                     and o.covered_at is not null) and not exists (
                   select from messenger_conversations c
                   join contact_interaction_events e on e.conversation_id = c.id
                   where c.page_id = u.page_id and c.sender_id = u.sender_id
                     and e.event_timestamp > now() - interval '7 days'
                     and e.metadata ->> 'source' = 'webhook')) as people,
               min(u.event_timestamp) as since,
               case when count(*) >= 1000 then min(u.found_at) end as counted_since
        from facebook_pages p
        cross join lateral (
            -- The newest are enough: what they are compared with is of the same time.
            select * from uncovered_messages n
            where n.page_id = p.facebook_page_id and n.covered_at is null
              and n.found_at < now() - interval '1 hour'
            order by n.page_id, n.found_at desc limit 1000
        ) u
        cross join lateral (
            select not exists (
                select from messenger_conversations c
                join contact_interaction_events e on e.conversation_id = c.id
                where c.page_id = u.page_id and c.sender_id = u.sender_id
                  and e.event_timestamp < u.event_timestamp) as is_first
        ) f
        where p.status = 'active'
        group by p.facebook_page_id, p.name
        having count(*) >= 3
    ), compared as (
        select m.*, m.received + t.received as all_received, m.sent + t.sent as all_sent,
               m.reactions + t.reactions as all_reactions,
               m.reactions >= 5 and m.reactions * 5 >= m.reactions + t.reactions as lacks_reactions,
               m.received >= 5 and m.received * 5 >= m.received + t.received as lacks_received,
               m.sent >= 5 and m.sent * 5 >= m.sent + t.sent as lacks_sent,
               m.people >= 3 as lacks_people
        from missing m
        cross join lateral (
            select coalesce(sum(h.received), 0)::bigint as received,
                   coalesce(sum(h.sent), 0)::bigint as sent,
                   coalesce(sum(h.reactions), 0)::bigint as reactions
            from webhook_hourly_counts h
            where h.page_id = m.page_id
              and h.hour > greatest(now() - interval '1 day', m.counted_since)) t
    )
    select 'webhooks_incomplete', c.page_id, 'warning',
           format('Webhooks do not bring all messages and reactions of %s, though it is subscribed: %s. Syncs'
                  ' load them, but late. %s', describe_page(c.page_id, c.name),
                  concat_ws('; ',
                      case when c.lacks_received then format('%s of the %s messages received within'
                          ' a day are missing', to_char(c.received, 'FM999,999,999,999'),
                          to_char(c.all_received, 'FM999,999,999,999')) end,
                      case when c.lacks_sent then format('%s of the %s messages that the page sent'
                          ' within a day are missing', to_char(c.sent, 'FM999,999,999,999'),
                          to_char(c.all_sent, 'FM999,999,999,999')) end,
                      case when c.lacks_reactions then format('reactions to %s messages within a'
                          ' day are missing, %s arrived', to_char(c.reactions, 'FM999,999,999,999'),
                          to_char(c.all_reactions - c.reactions, 'FM999,999,999,990')) end,
                      case when c.lacks_people then format('nothing comes from %s people who wrote'
                          ' within a week', to_char(c.people, 'FM999,999,999,999')) end),
                  concat_ws(' ',
                      case when c.lacks_sent and not c.lacks_received then
                          'Check the field `message_echoes` of your Meta app and of the page.' end,
                      case when c.lacks_reactions then
                          'Check the field `message_reactions` of your Meta app and of the page.'
                          end,
                      case when c.lacks_received or c.lacks_people then
                          'Check that the app has Advanced Access to pages_messaging, and that it'
                          ' gets `standby` of threads that another app owns.' end)),
           jsonb_build_object('received', c.received, 'all_received', c.all_received,
                              'sent', c.sent, 'all_sent', c.all_sent, 'reactions', c.reactions,
                              'all_reactions', c.all_reactions, 'people', c.people,
                              'since', c.since)
    from compared c
    where c.lacks_received or c.lacks_sent or c.lacks_reactions or c.lacks_people
$$;

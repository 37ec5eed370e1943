-- Stores events from number %(first)s to %(last)s, 25 of each conversation, with all indexes and
-- constraints. Half of them are of one page, the others of 500. Message ids are digests, because
-- Meta's are random.
with numbered as (
    select c, case when mod(c, 2) = 0 then '9000' else (9001 + mod(c, 1000) / 2)::text end as page_id,
           overlay(md5(c::text) placing lpad(to_hex(c), 8, '0') from 1 for 8)::uuid as id,
           now() - interval '3 years' * random() as newest
    from generate_series(%(first)s / 25, %(last)s / 25) as c
), conversations as (
    insert into messenger_conversations (
        id, page_id, sender_id, sender_name, sender_name_as_of, last_message, last_message_time,
        message_count)
    select id, page_id, 'c' || c, 'Contact ' || c, newest, 'the newest', newest, 25
    from numbered
    on conflict do nothing
)
insert into contact_interaction_events (
    conversation_id, page_id, event_type, event_timestamp, message_id, as_of, metadata)
select k.id, k.page_id, case when mod(e, 2) = 0 then 'message_sent' else 'message_received' end,
       k.newest - interval '10 minutes' * mod(e, 25), m.id, k.newest,
       jsonb_build_object('source', 'initial_sync', 'message_id', m.id,
                          'text', repeat('a message ', 1 + mod(e, 12)::integer))
from generate_series(%(first)s, %(last)s) as e
join numbered k on k.c = e / 25
cross join lateral (select 'm_' || md5('x' || e) || md5('y' || e) as id) m

-- A skewed database, as years leave it: one great page beside many small ones. Constraints and
-- triggers hold as for any writer. Sizes are parameters: see seeding.py.
--
-- Page 1000 is the great one; 2001, 2002, … are the small ones. Message ids are digests, because
-- Meta's are random. Of each conversation number k of n, `c` counts from 1.

insert into facebook_pages (
    facebook_page_id, name, user_id, status, last_synced_at, watermark, next_sync_at)
select p.id, 'Page ' || p.id, 'owner-1', 'active', now() - interval '5 minutes',
       now() - interval '5 minutes', now() + interval '10 minutes'
from (select '1000' as id union all
      select (2000 + n)::text from generate_series(1, %(pages)s) as n) p;
insert into page_tokens (page_id, token_encrypted)
select facebook_page_id, 'sealed ' || facebook_page_id from facebook_pages;
insert into page_checks (
    page_id, token_digest, checked_at, token_valid, subscribed, subscribed_fields,
    ever_subscribed, subscribed_since)
select t.page_id, md5(t.token_encrypted), now() - interval '1 hour', true, true, null, true,
       now() - interval '90 days'
from page_tokens t;

-- Sessions: all but a few have ended.
insert into sync_state (
    page_id, mode, run_id, step, outcome, total_synced, unchanged, events_created, api_calls,
    worked_seconds, started_at, updated_at, ended_at, warning, unknown_fields)
select case when mod(n, 10) = 0 then '1000' else (2001 + mod(n, %(pages)s))::text end,
       case when mod(n, 97) = 0 then 'full' else 'incremental' end, 'run-' || n, 3,
       case when mod(n, 2000) = 0 then 'superseded' when mod(n, 1000) = 1 then 'truncated'
            else 'completed' end,
       20, 20, 5, 3, 2.5, s.at, s.at + interval '20 seconds', s.at + interval '20 seconds',
       case when mod(n, 500) = 1 then 'Something was noticed.' end,
       case when mod(n, 100) = 3 then '{"threads.new_field": 2}' else '{}' end::jsonb
from generate_series(1, %(sessions)s) as n
cross join lateral (
    select now() - interval '10 minutes' - interval '90 days' * n / %(sessions)s as at) s;
insert into sync_state (
    sync_session_id, page_id, mode, run_id, step, started_at, cutoff, next_watermark, listed_at,
    updated_at)
values
    ('00000000-0000-4000-8000-000000000001', '1000', 'full', 'run-big', 7,
     now() - interval '2 hours', null, now() - interval '2 hours', null, now()),
    ('00000000-0000-4000-8000-000000000002', '1000', 'incremental', 'run-beside', 7,
     now() - interval '1 minute', now() - interval '20 minutes', now() - interval '1 minute',
     null, now()),
    ('00000000-0000-4000-8000-000000000003', '2001', 'full', 'run-small', 7,
     now() - interval '2 hours', null, now() - interval '2 hours', null, now()),
    ('00000000-0000-4000-8000-000000000004', '2002', 'incremental', 'run-refused', 7,
     now() - interval '1 minute', now() - interval '20 minutes', null, now(), now());
update sync_state set list_refused = true
where sync_session_id = '00000000-0000-4000-8000-000000000004';
insert into sync_locks (page_id, locked_by, locked_at, expires_at, token)
select l.page_id, l.run_id, now(), now() + interval '1 day', 1
from (values ('1000', 'run-big'), ('2001', 'run-small'), ('2002', 'run-refused'))
    as l (page_id, run_id);
insert into sync_requests (request_id, page_id, sync_session_id, requested_at, ended_at, error)
select gen_random_uuid(), s.page_id, s.sync_session_id, s.started_at, s.ended_at,
       case when mod(hashtext(s.run_id), 10) = 0 then 'The run was lost.' end
from sync_state s where s.outcome is not null and mod(hashtext(s.run_id), 6) = 0;
insert into sync_totals (page_id, sessions, runs, conversations, events_created)
select facebook_page_id, '{"full completed": 12, "incremental completed": 400}',
       '{"completed": 412}', '{"inserted": 40, "unchanged": 4000}', 300
from facebook_pages;

-- Conversations: those of the great page, then 20 of each small one.
create temporary table seeded_conversations on commit drop as
select id_of.id, p.page_id, p.c, p.page_id || lpad(p.c::text, 9, '0') as sender_id,
       now() - interval '1 minute' - interval '3 years' * p.c / p.n as newest,
       case when p.page_id = '1000' and p.c = 1 then %(longest)s
            when p.page_id = '1000' then %(messages)s else 12 end as messages
from (
    select '1000' as page_id, c, %(conversations)s as n
    from generate_series(1, %(conversations)s) as c
    union all
    select (2000 + s)::text, c, %(few)s
    from generate_series(1, %(pages)s) as s cross join generate_series(1, %(few)s) as c
) p
cross join lateral (
    select overlay(md5(p.page_id || '/' || p.c) placing lpad(to_hex(p.c), 8, '0') from 1 for 8)::uuid
        as id) id_of;
insert into messenger_conversations (
    id, page_id, sender_id, user_id, sender_name, sender_name_as_of, last_message,
    last_message_time, message_count, created_at, updated_at)
select id, page_id, sender_id, 'owner-1', 'Contact ' || c, newest, 'message 1', newest, messages,
       newest, newest
from seeded_conversations order by page_id, c;

-- Messages; k counts from the newest. Of each conversation the 2nd may be edited, and the 3rd unsent.
insert into contact_interaction_events (
    conversation_id, page_id, event_type, event_timestamp, message_id, as_of, metadata,
    created_at)
select c.id, c.page_id,
       case when mod(k, 2) = 0 then 'message_sent' else 'message_received' end,
       date_trunc('second', c.newest) - interval '7 minutes' * (k - 1)
           + case when k = 1 then c.newest - date_trunc('second', c.newest)
                  else interval '0' end,
       'm_' || md5(c.sender_id || '/' || k), c.newest,
       jsonb_build_object('source', 'initial_sync', 'message_id', 'm_' || md5(c.sender_id || '/' || k))
       || case when k = 2 and mod(c.c, 8) < 3
               then jsonb_build_object('text', 'corrected', 'stated_text', 'message 2')
               when k = 3 and mod(c.c, 8) < 3
               then jsonb_build_object('unsent_at', '2026-01-01T00:00:00.000Z')
               else jsonb_build_object('text', 'message ' || k) end,
       c.newest
from seeded_conversations c cross join lateral generate_series(1, c.messages) as k
order by c.page_id, c.c, k;
-- An edit and an unsend of three conversations in eight: 5 in 100 events of the great page.
insert into contact_interaction_events (
    conversation_id, page_id, event_type, event_timestamp, message_id, discriminator, as_of,
    metadata, created_at)
select c.id, c.page_id, e.event_type, c.newest, 'm_' || md5(c.sender_id || '/' || e.k),
       e.discriminator, c.newest, e.metadata, c.newest
from seeded_conversations c
cross join (values
    ('edit', 2, '1', '{"source": "webhook", "text": "corrected", "num_edit": 1}'::jsonb, 3),
    ('unsend', 3, '', '{"source": "webhook"}', 3),
    ('reaction', 4, 'contact', '{"source": "webhook", "emoji": "👍"}', 2)
) as e (event_type, k, discriminator, metadata, of_8)
where mod(c.c, 8) < e.of_8;
insert into unsent_texts (page_id, message_key, digest)
select page_id, 'm_' || md5(sender_id || '/3'), sha256('gone')
from seeded_conversations where mod(c, 8) < 3;
-- Messages without an id, ten in each of some conversations, and as many that are claimed.
insert into contact_interaction_events (
    conversation_id, page_id, event_type, event_timestamp, as_of, metadata, created_at)
select c.id, c.page_id, 'message_received',
       c.newest - interval '1 year' - interval '1 minute' * k, c.newest,
       jsonb_build_object('source', 'initial_sync', 'text', 'old ' || k), c.newest
from seeded_conversations c cross join lateral generate_series(1, 10) as k
where c.page_id = '1000' and c.c <= %(anonymous)s;
update messenger_conversations c set message_count = c.message_count + 10
from seeded_conversations s where s.id = c.id and s.page_id = '1000' and s.c <= %(anonymous)s;
insert into claimed_messages (
    id, conversation_id, page_id, event_type, event_timestamp, discriminator, as_of, metadata,
    created_at, claimed_by)
select gen_random_uuid(), c.id, c.page_id, 'message_received',
       date_trunc('second', c.newest) - interval '7 minutes' * (2 * k), '', c.newest,
       jsonb_build_object('source', 'initial_sync', 'text', 'message ' || 2 * k + 1), c.newest,
       'm_' || md5(c.sender_id || '/' || 2 * k + 1)
from seeded_conversations c cross join lateral generate_series(2, 5) as k
where c.page_id = '1000' and c.c <= %(anonymous)s;
insert into restatements (conversation_id, as_of, ids)
select c.id, c.newest + interval '1 hour', array[c.id]
from seeded_conversations c where mod(c.c, 2) = 0;
insert into contactless_threads (page_id, thread_id, sender_id)
select c.page_id, 't_' || c.sender_id, case when mod(c.c, 1000) = 0 then c.sender_id end
from seeded_conversations c where mod(c.c, 100) = 0;
insert into uncovered_messages (
    page_id, message_key, sender_id, is_sent, event_timestamp, found_at, covered_at)
select c.page_id, 'm_' || md5(c.sender_id || '/1'), c.sender_id, false,
       now() - interval '6 days' * c.c / %(conversations)s,
       now() - interval '6 days' * c.c / %(conversations)s,
       case when mod(c.c, 3) > 0 then now() end
from seeded_conversations c where c.page_id = '1000' and mod(c.c, 10) = 0;

-- Threads: one of each conversation. The walk has seen nearly all.
insert into messenger_threads (
    page_id, thread_id, sender_id, conversation_id, updated_time, message_count,
    newest_message_id, answered_at, newest_loaded_at, newest_loaded_message_id, last_session_id,
    gone_at)
select c.page_id, 't_' || c.sender_id, c.sender_id, c.id, c.newest, c.messages,
       'm_' || md5(c.sender_id || '/1'), now() - interval '1 day', c.newest,
       'm_' || md5(c.sender_id || '/1'),
       case when mod(c.c, 1000) = 7 then null
            when c.page_id = '1000' then '00000000-0000-4000-8000-000000000001'::uuid
            when c.page_id = '2001' then '00000000-0000-4000-8000-000000000003'::uuid
            else o.sync_session_id end,
       case when mod(c.c, 50) = 9 then now() end
from seeded_conversations c
left join lateral (
    select s.sync_session_id from sync_state s
    where s.page_id = c.page_id order by s.started_at limit 1) o on true
order by c.page_id, c.c;
-- Gaps of the great page: open ones of its full walk, then put off ones, then unreadable ones.
insert into thread_gaps (
    page_id, thread_id, sync_session_id, newest_time, until_time, attempts, unreadable, reason,
    last_error, first_failed_at, not_before, opened_at)
select c.page_id, 't_' || c.sender_id,
       case when g.k = 5 then null else '00000000-0000-4000-8000-000000000001'::uuid end,
       c.newest - interval '1 day', null,
       case when g.k < 3 then 0 when g.k = 3 then 2 else 3 end, g.k > 3,
       case when g.k > 3 then 'Meta refuses it' end, case when g.k >= 3 then 'Meta refuses it' end,
       case when g.k >= 3 then now() - interval '20 days' end,
       case when g.k = 3 then now() + interval '6 hours' else now() - interval '1 hour' end,
       now() - interval '2 days'
from seeded_conversations c
cross join lateral (select mod(c.c, 5) + 1 as k) g
where c.page_id = '1000' and c.c <= %(gaps)s
order by c.c;
insert into list_gaps (page_id, newest_time, until_time, attempts, first_failed_at, last_error)
values ('1000', now() - interval '1 year', now() - interval '2 years', 2, now(), 'Meta refuses it');

-- The inbox: a backlog, and what was settled.
insert into webhook_inbox (body, received_at, not_before)
select convert_to(repeat('x', 400), 'UTF8'), now() - interval '1 hour' * n / %(deliveries)s,
       now() - interval '1 hour' * n / %(deliveries)s
from generate_series(%(deliveries)s, 1, -1) as n;
insert into webhook_inbox (body, received_at, not_before, state, settled_at, outcomes)
select convert_to(repeat('x', 400), 'UTF8'), s.at, s.at,
       case when mod(n, 1000) = 0 then 'failed' when mod(n, 20) = 0 then 'ignored'
            else 'done' end,
       s.at + interval '1 second', null
from generate_series(%(deliveries)s, 1, -1) as n
cross join lateral (
    select now() - interval '1 hour' - interval '8 days' * n / %(deliveries)s as at) s;
insert into webhook_inbox (body, received_at, not_before, waiting_for, attempts, last_error)
select convert_to(repeat('x', 400), 'UTF8'), now() - interval '1 day',
       case when mod(n, 2) = 0 then now() + interval '1 hour' end,
       case when mod(n, 2) = 1 then array['9' || mod(n, 50)] end,
       case when mod(n, 2) = 0 then 6 else 0 end, case when mod(n, 2) = 0 then 'no luck' end
from generate_series(1, %(deliveries)s / 20) as n;
insert into webhook_claims (deliveries, claimed_at)
select array(select i.id from webhook_inbox i where i.state = 'pending' and i.not_before < now()
             order by i.not_before, i.id offset 100 * c limit 20), now() - interval '2 minutes'
from generate_series(1, 5) as c;
insert into webhook_totals (state, deliveries) values ('done', 1000000), ('ignored', 20000);
insert into webhook_hourly_counts (page_id, hour, deliveries, first_at, last_at)
select p.facebook_page_id, h.hour, 20, h.hour, h.hour + interval '55 minutes'
from facebook_pages p
cross join lateral (
    select date_trunc('hour', now(), 'UTC') - interval '1 hour' * n as hour
    from generate_series(1, %(hours)s) as n) h;

-- Quarantine: most records are resolved.
insert into quarantined_records (
    page_id, source, kind, identity, thread_id, reason, record, first_seen_at, last_seen_at,
    seen_count, resolved_at, retry_at)
select case when mod(n, 3) = 0 then '1000' else (2001 + mod(n, %(pages)s))::text end,
       case when mod(n, 4) = 0 then 'sync' else 'webhook' end,
       case when mod(n, 4) = 0 then 'event' else 'item' end, 'identity ' || n, null,
       'reason ' || mod(n, 7), jsonb_build_object('delivery', n), s.at, s.at, 2,
       case when mod(n, 10) > 0 then s.at + interval '1 day' end,
       case when mod(n, 10) > 0 then s.at else now() + interval '1 hour' end
from generate_series(1, %(quarantined)s) as n
cross join lateral (
    select now() - interval '90 days' * n / %(quarantined)s as at) s;

insert into graph_api_budget (scope, last_call_at, used_percent, used_at)
select 'page:' || facebook_page_id, now() - interval '1 minute', 20, now() from facebook_pages
union all
select 'token:' || facebook_page_id, null::timestamptz, 20, now() from facebook_pages
union all
values ('app:1', null::timestamptz, 10, now());
insert into alerts (kind, page_id, severity, summary, opened_at, closed_at, sent_at, closing_sent_at)
select 'page_stale', (2001 + mod(n, %(pages)s))::text, 'error', 'It was overdue.',
       now() - interval '80 days' * n / %(alerts)s, now() - interval '80 days' * n / %(alerts)s,
       now() - interval '80 days' * n / %(alerts)s, now() - interval '80 days' * n / %(alerts)s
from generate_series(1, %(alerts)s) as n;
insert into heartbeats (name, at, since) values ('dagster', now(), now() - interval '1 day');

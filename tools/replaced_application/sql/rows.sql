-- The rows, with what years leave behind. Contact n has a second conversation where n % 20 = 0,
-- and a third where n % 100 = 0, if :duplicates.
create index on source_messages (contact_n);
analyze source_pages, source_contacts, source_messages;

insert into facebook_pages
    (id, user_id, facebook_page_id, name, access_token, last_synced_at, created_at, updated_at)
select :page_key, :page_owner, account_id, name, token,
       case when n % 4 <> 0 then timestamptz '2024-06-01 12:00:00+00' end,
       timestamptz '2022-12-01 00:00:00+00', timestamptz '2024-06-01 12:00:00+00'
from source_pages;
-- A page that two owners connected.
insert into facebook_pages
    (id, user_id, facebook_page_id, name, access_token, created_at, updated_at)
select :second_page_key, :other_page_owner, account_id, name, token || 'second',
       timestamptz '2023-03-01 00:00:00+00', timestamptz '2023-03-01 00:00:00+00'
from source_pages where :shared_pages and n % 2 = 0;

create temporary table conversations_of as
select c.n, copy, c.page_n, c.sender_id,
       case when copy = 0 then c.n else c.n + copy * :conversation_step end as number,
       case when copy = 0 then c.sender_name
            when c.n % 60 = 0 then null
            else coalesce(c.sender_name, 'Name of ' || c.sender_id) end as sender_name
from source_contacts c
cross join generate_series(0, 2) copy
where copy = 0 or :duplicates and (copy = 1 and c.n % 20 = 0 or copy = 2 and c.n % 100 = 0);
create unique index on conversations_of (n, copy);
analyze conversations_of;

-- A message is in the first conversation, or, if there are two, every third is in the second.
create temporary table events_of as
select m.n, m.contact_n, m.message_id, m.sent_at, m.is_sent, m.body, c.page_n,
       case when m.n % 3 = 0 and d.number is not null then d.number else c.number end as number,
       case when m.n % 15 < 2 then case when m.n % 3 = 0 then c.number else d.number end end as other
from source_messages m
join conversations_of c on c.n = m.contact_n and c.copy = 0
left join conversations_of d on d.n = m.contact_n and d.copy = 1;

create temporary table newest_of as
select distinct on (number) number, sent_at, body, earliest
from (
    select number, sent_at, body, n,
           min(sent_at) over (partition by number) as earliest
    from events_of
) e
order by number, sent_at desc, n desc;
create unique index on newest_of (number);
analyze newest_of;

insert into messenger_conversations (
    id, user_id, page_id, sender_id, sender_name, last_message, last_message_time,
    conversation_status, created_at, updated_at, assigned_to, labels, pipeline_stage)
select :conversation_key,
       case when copy = 0 then :owner
            when copy = 1 and c.n % 40 = 0 then :other_owner
            else :third_owner end,
       :page_value, sender_id, sender_name, e.body, e.sent_at,
       case c.n % 50 when 7 then null when 8 then 'archived' else 'active' end,
       coalesce(e.earliest, timestamptz '2023-01-01 00:00:00+00'),
       coalesce(e.sent_at, timestamptz '2023-01-01 00:00:00+00') + interval '1.25 seconds',
       case when c.n % 9 = 0 then 'agent-' || c.n % 4 end,
       case when c.n % 12 = 0 then array['vip', 'back again'] else '{}' end,
       c.n % 5
from conversations_of c
join (select n as page_number, account_id from source_pages) p on p.page_number = c.page_n
left join newest_of e on e.number = c.number;

-- Later by one microsecond for each copy, and nothing else tells two copies apart.
insert into contact_interaction_events (
    id, user_id, conversation_id, event_type, event_timestamp, :message_id_name metadata,
    created_at, sentiment)
select :event_key, :event_owner, :event_conversation,
       case when is_sent then 'message_sent' else 'message_received' end, sent_at,
       :message_id_value
       jsonb_strip_nulls(jsonb_build_object(
           'source', case when :webhooks and n % 7 = 0 then 'webhook' else 'initial_sync' end,
           'message_id', case when has_id then message_id end,
           'text', nullif(body, ''))),
       timestamptz '2024-06-01 12:00:00+00' + (n % 86400) * interval '1 second'
           + copy * interval '1 microsecond',
       case when n % 8 = 0 then 0.25 * (n % 5) end
from (
    select n, 0 as copy, n as event_n, message_id, sent_at, is_sent, body, page_n,
           number as conversation_n, n % 10 <> 3 as has_id
    from events_of
    union all
    select n, 1, n + :event_step, message_id, sent_at, is_sent, body, page_n, other, n % 10 <> 3
    from events_of where other is not null
    union all
    -- The same sync twice; half of these without the id.
    select n, 2, n + 2 * :event_step, message_id, sent_at, is_sent, body, page_n, number, n % 40 <> 27
    from events_of where n % 20 = 7 and :duplicate_events
) e
order by event_n;

-- What the database's owner built beside the application and on its tables.
create function set_updated_at() returns trigger
language plpgsql
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
create trigger set_updated_at before update on facebook_pages
    for each row execute function set_updated_at();
create trigger set_updated_at before update on messenger_conversations
    for each row execute function set_updated_at();

create view contact_list as
select c.id, c.sender_id, coalesce(c.sender_name, 'Unknown') as sender_name, c.last_message_time,
       count(e.id) as events
from messenger_conversations c
left join contact_interaction_events e on e.conversation_id = c.id
group by c.id;
create view daily_activity as
select event_timestamp::date as day, event_type, count(*) as events
from contact_interaction_events group by 1, 2;

create table tags (
    conversation_id :id_type not null
        references messenger_conversations (id) on delete cascade,
    name text not null,
    primary key (conversation_id, name)
);
create table notes (
    id integer generated always as identity primary key,
    conversation_id :id_type references messenger_conversations (id) on delete set null,
    event_id :id_type references contact_interaction_events (id) on delete cascade,
    body text not null
);
insert into tags select :conversation_key, case copy when 0 then 'vip' else 'copy ' || copy end
from conversations_of c where n % 10 = 0;
-- Both conversations of a contact have it.
insert into tags select :conversation_key, 'vip'
from conversations_of c where copy > 0 and :contested_tags;
insert into notes (conversation_id, event_id, body)
select e.conversation_id, e.id, 'note on ' || e.event_timestamp
from contact_interaction_events e
where extract(epoch from e.event_timestamp)::bigint % 25 = 0
order by e.id limit 10000;

alter table messenger_conversations enable row level security;
alter table contact_interaction_events enable row level security;
create policy owners_read on messenger_conversations for select to replaced_application
    using (user_id::text = current_setting('app.user_id', true)
           or current_setting('app.user_id', true) is null);
create policy application_writes on messenger_conversations to replaced_application
    using (true) with check (true);
create policy application_writes on contact_interaction_events to replaced_application
    using (true) with check (true);
grant select, insert, update, delete
    on facebook_pages, messenger_conversations, contact_interaction_events, tags, notes
    to replaced_application;
grant select on contact_list, daily_activity to replaced_application;
grant usage on all sequences in schema :schema to replaced_application;
comment on table messenger_conversations is 'Conversations of the app';

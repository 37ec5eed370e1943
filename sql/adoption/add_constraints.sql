-- Adds what is missing to the events' table, without reading it: validate_constraints does that.
create or replace function :own.add_constraints()
returns void
language plpgsql
set search_path from current
as $$
begin
    if not exists (select from list_references('messenger_conversations') r
                   where r.referencing = 'contact_interaction_events'::regclass
                     and r.column_name = 'conversation_id')
    then
        perform change_schema(
            'alter table :data.contact_interaction_events'
            ' add constraint contact_interaction_events_conversation_fkey'
            ' foreign key (conversation_id) references :data.messenger_conversations (id)'
            ' on delete cascade not valid',
            'alter table :data.contact_interaction_events'
            ' drop constraint contact_interaction_events_conversation_fkey');
    end if;
end
$$;

-- The SQL of an event's message id, from the column, else from the metadata.
create or replace function :own.message_id_term()
returns text
language sql stable
set search_path from current
as $$
    select format('coalesce(nullif(%s, ''''), nullif(%s ->> ''message_id'', ''''))',
                  column_or('contact_interaction_events', 'message_id', 'null::text'),
                  column_or('contact_interaction_events', 'metadata', 'null::jsonb'))
$$;

-- The columns that our functions use in adopted tables: the type that each must have, what an added
-- one is declared with, and the default that it gets where it has none. A column without
-- `declared` cannot be added. Whether NULL in it is no mistake: then "not null" is taken away.
create or replace function :own.list_known_columns()
returns table (
    table_name text, column_name text, type text, declared text, default_value text, optional boolean
)
language sql immutable
set search_path from current
as $$
    values
    ('facebook_pages', 'id', null, null, null, false),
    ('facebook_pages', 'facebook_page_id', 'text', null, null, false),
    ('facebook_pages', 'platform', 'text', $d$text not null default 'messenger'
        constraint facebook_pages_platform check (platform in ('messenger', 'instagram'))$d$, null, false),
    ('facebook_pages', 'user_id', null, 'text', null, true),
    ('facebook_pages', 'name', 'text', 'text', null, true),
    ('facebook_pages', 'time_zone', 'text', 'text', null, true),
    ('facebook_pages', 'status', 'text', $d$text not null default 'active'
        constraint facebook_pages_status
        check (status in ('active', 'paused', 'needs_reauthorization', 'removed'))$d$, null, false),
    ('facebook_pages', 'status_reason', 'text', 'text', null, true),
    ('facebook_pages', 'sync_interval', 'interval',
        $d$interval not null default interval '15 minutes'$d$, null, false),
    ('facebook_pages', 'next_sync_at', 'timestamp with time zone',
        'timestamptz not null default now()', null, false),
    ('facebook_pages', 'last_synced_at', 'timestamp with time zone', 'timestamptz', null, true),
    ('facebook_pages', 'watermark', 'timestamp with time zone', 'timestamptz', null, true),
    ('facebook_pages', 'failed_starts', 'integer', 'integer not null default 0', null, false),
    ('facebook_pages', 'created_at', 'timestamp with time zone', 'timestamptz default now()',
        'now()', false),
    ('facebook_pages', 'updated_at', 'timestamp with time zone', 'timestamptz default now()',
        'now()', false),
    ('messenger_conversations', 'id', null, null, null, false),
    ('messenger_conversations', 'page_id', null, null, null, false),
    ('messenger_conversations', 'sender_id', 'text', null, null, false),
    ('messenger_conversations', 'user_id', null, 'text', null, true),
    ('messenger_conversations', 'sender_name', 'text', 'text', null, true),
    ('messenger_conversations', 'sender_name_as_of', 'timestamp with time zone', 'timestamptz', null,
        true),
    ('messenger_conversations', 'last_message', 'text', 'text', null, true),
    ('messenger_conversations', 'last_message_time', 'timestamp with time zone', 'timestamptz', null,
        true),
    ('messenger_conversations', 'message_count', 'integer', 'integer default 0', '0', false),
    ('messenger_conversations', 'conversation_status', 'text', $d$text default 'active'$d$,
        $d$'active'$d$, false),
    ('messenger_conversations', 'deleted_at', 'timestamp with time zone', 'timestamptz', null, true),
    ('messenger_conversations', 'version', 'integer', 'integer default 0', '0', false),
    ('messenger_conversations', 'created_at', 'timestamp with time zone',
        'timestamptz default now()', 'now()', false),
    ('messenger_conversations', 'updated_at', 'timestamp with time zone',
        'timestamptz default now()', 'now()', false),
    ('contact_interaction_events', 'id', null, null, null, false),
    ('contact_interaction_events', 'conversation_id', null, null, null, false),
    ('contact_interaction_events', 'user_id', null, null, null, true),
    ('contact_interaction_events', 'page_id', 'text', 'text collate "C"', null, false),
    ('contact_interaction_events', 'event_type', 'text', null, null, false),
    ('contact_interaction_events', 'event_timestamp', 'timestamp with time zone', null, null, false),
    ('contact_interaction_events', 'message_id', 'text', 'text collate "C"', null, true),
    ('contact_interaction_events', 'discriminator', 'text',
        $d$text collate "C" not null default ''$d$, null, false),
    ('contact_interaction_events', 'as_of', 'timestamp with time zone', 'timestamptz', null, false),
    ('contact_interaction_events', 'metadata', 'jsonb', $d$jsonb default '{}'$d$, $d$'{}'$d$, false),
    ('contact_interaction_events', 'created_at', 'timestamp with time zone',
        'timestamptz default now()', 'now()', false)
$$;

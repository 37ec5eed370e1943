-- The replaced application's tables as it created them, without what is built after the rows.
create table facebook_pages (
    id :id_column primary key,
    user_id :user_type,
    facebook_page_id text not null,
    name text,
    access_token text not null,
    profile_picture text,
    last_synced_at timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table messenger_conversations (
    id :id_column primary key,
    user_id :user_type,
    page_id :page_type not null,
    sender_id text not null,
    sender_name text,
    last_message text,
    last_message_time timestamptz,
    conversation_status text default 'active',
    message_count integer default 0,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    -- What its owner added over the years.
    assigned_to text,
    labels text[] default '{}',
    pipeline_stage integer
);

create table contact_interaction_events (
    id :id_column primary key,
    user_id :user_type,
    conversation_id :id_type not null,
    event_type text not null,
    event_timestamp timestamptz not null,
    :message_id_column
    metadata jsonb default '{}',
    created_at timestamptz default now(),
    sentiment numeric
);

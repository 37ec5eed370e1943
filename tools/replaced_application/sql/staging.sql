-- What Meta has, as far as the replaced application read it: the rows are made from this.
create temporary table source_pages (
    n bigint primary key, account_id text, name text, token text
);
create temporary table source_contacts (
    n bigint primary key, page_n bigint, sender_id text, sender_name text
);
create temporary table source_messages (
    n bigint, contact_n bigint, message_id text, sent_at timestamptz, is_sent boolean, body text
);

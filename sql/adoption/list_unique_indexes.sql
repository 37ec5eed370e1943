-- The indexes that adopted tables need besides those that migrations create: what tables that we
-- create declare with their columns; in "C" too, in which our ids are compared with theirs; and, where
-- page_id is converted, the replaced application's own unique rules on the column that replaces it.
create or replace function :own.list_unique_indexes()
returns table (table_name text, index_name text, definition text)
language sql stable
set search_path from current
as $$
    select 'facebook_pages', 'facebook_pages_page_unique',
           'unique index :data.facebook_pages (facebook_page_id)'
    union all
    select 'facebook_pages', 'facebook_pages_page_bytes',
           'index :data.facebook_pages (facebook_page_id collate "C")'
    union all
    select 'messenger_conversations', 'messenger_conversations_contact_unique',
           format('unique index :data.messenger_conversations (%I, sender_id)', account_column())
    union all
    select 'messenger_conversations', 'messenger_conversations_contact_bytes',
           format('unique index :data.messenger_conversations (%I collate "C", sender_id collate "C")',
                  account_column())
    union all
    select 'messenger_conversations', 'adopted_' || r.relname,
           format('unique index :data.messenger_conversations (%s)', c.columns)
    from pg_index i
    join pg_class r on r.oid = i.indexrelid
    cross join lateral (
        select string_agg(case when a.attname = 'page_id' then 'page_id_after'
                               else quote_ident(a.attname) end, ', ' order by k.at) as columns,
               array_agg(a.attname::text order by k.at) as names
        from unnest(i.indkey::smallint[]) with ordinality k (attnum, at)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    ) c
    where account_column() = 'page_id_after'
      and i.indrelid = ':data.messenger_conversations'::regclass
      and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
      and 'page_id' = any (c.names) and c.names <> array['page_id', 'sender_id']
$$;

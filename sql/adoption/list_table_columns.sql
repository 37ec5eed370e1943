-- The columns of the tables that are there, of those that an adoption takes over.
create or replace function :own.list_table_columns()
returns table (
    table_name text, column_name text, type text, is_not_null boolean, default_value text,
    is_generated boolean
)
language sql stable
set search_path = pg_catalog
as $$
    select r.relname::text, a.attname::text, format_type(a.atttypid, null), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '' or a.attgenerated <> ''
    from pg_class r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
    where r.relnamespace = ':data'::regnamespace and r.relkind = 'r'
      and r.relname in ('facebook_pages', 'messenger_conversations', 'contact_interaction_events')
$$;

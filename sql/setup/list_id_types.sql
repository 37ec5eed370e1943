-- The types of the ids of conversations and events and of both columns user_id, as the tables have
-- them, and for integers what gives the next id. NULL: there is no such column yet.
create or replace function :own.list_id_types()
returns table (
    conversation text, event text, page_user text, conversation_user text, next_conversation text,
    next_event text
)
language sql stable
set search_path = pg_catalog  -- nothing else is visible: expressions come with their schemas
as $$
    select max(c.type) filter (where c.name = 'messenger_conversations.id'),
           max(c.type) filter (where c.name = 'contact_interaction_events.id'),
           max(c.type) filter (where c.name = 'facebook_pages.user_id'),
           max(c.type) filter (where c.name = 'messenger_conversations.user_id'),
           max(c.following) filter (where c.name = 'messenger_conversations.id'),
           max(c.following) filter (where c.name = 'contact_interaction_events.id')
    from (
        select r.relname || '.' || a.attname as name, format_type(a.atttypid, null) as type,
               case when a.attidentity <> ''
                    then format('nextval(%L::regclass)',
                                pg_get_serial_sequence(r.oid::regclass::text, a.attname))
                    else pg_get_expr(d.adbin, d.adrelid) end as following
        from pg_class r
        join pg_attribute a on a.attrelid = r.oid and not a.attisdropped
        left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
        where r.relnamespace = ':data'::regnamespace and r.relkind = 'r'
          and r.relname in ('facebook_pages', 'messenger_conversations',
                            'contact_interaction_events')
          and a.attname in ('id', 'user_id')
    ) c
$$;

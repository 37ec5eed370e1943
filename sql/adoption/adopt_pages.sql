-- What the replaced application says of its last syncs does not count: the first sync of each page is
-- a full one.
create or replace function :own.adopt_pages()
returns void
language sql
set search_path from current
as $$
    insert into adopted_pages (page_id, adopted_at)
    select p.page_id, s.began_at
    from (select facebook_page_id as page_id from facebook_pages where facebook_page_id <> ''
          union
          select page_id from messenger_conversations where page_id is not null) p
    cross join adoption_steps s where s.step = 'adoption'
    on conflict do nothing;
    insert into adopted_values (table_name, id, old, adopted)
    select 'facebook_pages', id::text, jsonb_build_object('last_synced_at', last_synced_at),
           '{"last_synced_at": null}'
    from facebook_pages where last_synced_at is not null
    on conflict do nothing;
    update facebook_pages set last_synced_at = null where last_synced_at is not null;
$$;

-- The unique indexes of events that ours replace: ours tell apart what they do not.
create or replace function :own.list_replaced_indexes()
returns table (indexrelid oid)
language sql stable
set search_path = pg_catalog
as $$
    select i.indexrelid
    from pg_index i join pg_class r on r.oid = i.indexrelid
    where i.indrelid = to_regclass(':data.contact_interaction_events') and i.indisunique
      and not i.indisprimary
      and pg_get_indexdef(i.indexrelid) !~ 'discriminator'
      and (r.relname like 'idx_unique_event%' or pg_get_indexdef(i.indexrelid) ~ '\(conversation_id,')
$$;

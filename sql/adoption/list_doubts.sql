-- What an adoption cannot be sure of, each with its remedy. Nothing is adopted while there is any.
create or replace function :own.list_doubts()
returns setof text
language plpgsql stable
set search_path from current
as $$
declare
    v_pages record;
    v_count bigint;
begin
    return query
    select format('%s is not a table of the replaced application: it lacks some of its columns.'
                  ' Rename it, or choose another MESSENGER_DATABASE_SCHEMA.', t.name)
    from unnest(array['facebook_pages', 'messenger_conversations', 'contact_interaction_events',
                      'sync_state', 'sync_locks']) as t (name)
    where to_regclass(format(':data.%I', t.name)) is not null
      and not exists (select from owned_objects o where o.kind = 'table' and o.name = t.name
                      and o.in_schema = 'data')
      and not is_recognized(t.name);
    if found then
        return;
    end if;

    return query
    select format('%s.%s is %s, not %s. %s', k.table_name, k.column_name, c.type, k.type,
                  case when k.type = 'text' and c.type = 'character varying'
                       then format('Run: alter table %s alter column %s type text (instant).',
                                   k.table_name, k.column_name)
                       else 'Convert it, or rename the column if it is for something else.' end)
    from list_known_columns() k
    join list_table_columns() c using (table_name, column_name)
    where c.type <> k.type;
    return query
    select format('%s.%s is %s. Ids can be uuid, text, integer or bigint.', c.table_name,
                  c.column_name, c.type)
    from list_table_columns() c
    where (c.column_name in ('id', 'user_id') or c.column_name = 'conversation_id')
      and c.type not in ('uuid', 'text', 'integer', 'bigint');
    return query
    select format('%s.id has no default, so there is no telling which ids are free. Give it one.',
                  c.table_name)
    from list_table_columns() c
    where c.column_name = 'id' and c.type in ('integer', 'bigint')
      and c.default_value is null and not c.is_generated;
    return query
    select format('%s.%s must be given and has no default. Rows of ours do not have it: give it a'
                  ' default, or drop its "not null".', c.table_name, c.column_name)
    from list_table_columns() c
    where c.is_not_null and c.default_value is null and not c.is_generated
      and not (c.table_name = 'facebook_pages' and c.column_name ~ '(^|_)token$')
      and not exists (select from list_known_columns() k
                      where (k.table_name, k.column_name) = (c.table_name, c.column_name));
    return query
    select format('contact_interaction_events.%s is there already. Rename it.', c.column_name)
    from list_table_columns() c
    where c.table_name = 'contact_interaction_events'
      and c.column_name in ('page_id', 'discriminator', 'as_of');
    return query
    select format('%s is not there. An adoption needs the three tables facebook_pages,'
                  ' messenger_conversations and contact_interaction_events.', t.name)
    from unnest(array['facebook_pages', 'messenger_conversations', 'contact_interaction_events'])
        as t (name)
    where to_regclass(format(':data.%I', t.name)) is null;
    return query
    select format('%s.id has no primary key or unique constraint. Add one.', t.name)
    from unnest(array['messenger_conversations', 'contact_interaction_events']) as t (name)
    where to_regclass(format(':data.%I', t.name)) is not null and not exists (
        select from pg_index i
        where i.indrelid = to_regclass(format(':data.%I', t.name)) and i.indisunique
          and i.indisvalid and i.indpred is null and i.indnkeyatts = 1
          and i.indkey[0] = (select attnum from pg_attribute
                             where attrelid = i.indrelid and attname = 'id'));
    return query
    select format('the foreign key %s of %s refers to more than the id of %s. Drop it.',
                  r.constraint_name, r.referencing, t.name)
    from unnest(array['facebook_pages', 'messenger_conversations', 'contact_interaction_events'])
        as t (name)
    cross join list_references(t.name) r
    where r.column_name is null;
    return query
    select format('%s is not of this role: %s owns it. Upgrade as that role.', r.relname,
                  quote_ident(pg_get_userbyid(r.relowner)))
    from pg_class r
    where r.relnamespace = ':data'::regnamespace and r.relkind = 'r'
      and r.relname in ('facebook_pages', 'messenger_conversations', 'contact_interaction_events',
                        'sync_state', 'sync_locks')
      and not pg_has_role(r.relowner, 'usage');
    return query
    select format('%s is partitioned or inherited. It cannot be adopted.', r.relname)
    from pg_class r
    where r.relnamespace = ':data'::regnamespace
      and r.relname in ('facebook_pages', 'messenger_conversations', 'contact_interaction_events')
      and (r.relkind <> 'r' or exists (select from pg_inherits i
                                       where r.oid in (i.inhparent, i.inhrelid)));
    return query
    select format('the function %s is not the replaced application''s. Rename or drop it.',
                  describe_object('function', f.function_oid))
    from list_replaced_functions() f where not f.is_recognized;
    return query
    select format('the %s is built on the function %s, which is replaced. Drop it.',
                  d.description, describe_object('function', f.function_oid))
    from list_replaced_functions() f
    cross join list_dependents('pg_proc', f.function_oid, null) d;
    return query
    select format('%s is built on the view %s, which is replaced. Drop it, and create it again'
                  ' after the upgrade.', d.description, v.name)
    from unnest(array['active_syncs', 'sync_statistics']) as v (name)
    join pg_class r on r.oid = to_regclass(format(':data.%I', v.name)) and r.relkind = 'v'
    cross join list_dependents('pg_class', r.oid, null) d
    where not exists (select from owned_objects o where o.kind = 'view' and o.name = v.name);
    return query
    select format('the %s is built on %s, which is kept apart. Drop it, and create it again after'
                  ' the upgrade.', d.description, t.name)
    from unnest(array['sync_state', 'sync_locks']) as t (name)
    join pg_class r on r.oid = to_regclass(format(':data.%I', t.name))
    cross join list_dependents('pg_class', r.oid, null) d
    where d.is_view and d.description not in (
        select format('view %s', describe_object('view', to_regclass(format(':data.%I', v.name))))
        from unnest(array['active_syncs', 'sync_statistics']) as v (name))
      and not exists (select from owned_objects o
                      where o.kind = 'table' and o.in_schema = 'data' and o.name = t.name);

    if column_or('facebook_pages', 'status', null) is not null then
        execute 'select count(*) from :data.facebook_pages where status is null or status not in'
            ' (''active'', ''paused'', ''needs_reauthorization'', ''removed'')' into v_count;
        if v_count > 0 then
            return next format('facebook_pages.status is there already, and %s rows have another'
                ' value than active, paused, needs_reauthorization or removed. Rename it.', v_count);
        end if;
    end if;
    if to_regclass(':data.facebook_pages') is not null then
        execute 'select count(*) from :data.facebook_pages where (facebook_page_id::text <> '''')'
            ' is not true' into v_count;
        if v_count > 0 then
            return next format('%s rows of facebook_pages have no facebook_page_id. Correct or delete'
                ' them.', v_count);
        end if;
    end if;
    if to_regclass(':data.messenger_conversations') is null then
        return;
    end if;
    if exists (select from list_table_columns() c
               where c.table_name = 'messenger_conversations'
                 and c.column_name = 'last_message_time'
                 and c.type = 'timestamp with time zone')
    then
        execute 'select count(*) from :data.messenger_conversations where not (last_message_time'
            ' between ''0002-01-01 UTC'' and ''9999-01-01 UTC'')' into v_count;
        if v_count > 0 then
            return next format('%s conversations have a last_message_time before year 2 or after'
                ' 9998. Correct them.', v_count);
        end if;
    end if;
    select * into v_pages from describe_page_ids();
    if v_pages.type not in ('text', 'uuid', 'integer', 'bigint') then
        return next format('messenger_conversations.page_id is %s, not text.', v_pages.type);
    elsif v_pages.kind <> 'account' then
        return query
        select format('messenger_conversations.page_id has to become the account''s id as text,'
                      ' and %s is built on it. Drop it, and after the upgrade create it on'
                      ' page_id_before, as today''s column is called then.',
                      d.description)
        from pg_attribute a
        cross join lateral (
            select d.description from list_dependents('pg_class', a.attrelid, a.attnum) d
            union all
            select format('the foreign key %s', o.conname) from pg_constraint o
            where o.contype = 'f'
              and (o.conrelid = a.attrelid and a.attnum = any (o.conkey)
                   or o.confrelid = a.attrelid and a.attnum = any (o.confkey))
        ) d
        where a.attrelid = ':data.messenger_conversations'::regclass and a.attname = 'page_id';
        if v_pages.ambiguous > 0 then
            return next format('%s conversations have a page_id that is the id of one page in'
                ' facebook_pages and the account''s id of another.', v_pages.ambiguous);
        end if;
        if v_pages.unknown > 0 and v_pages.type = 'uuid' then
            return next format('%s conversations have a page_id that is the id of no page in'
                ' facebook_pages: nothing says which account they are of. Add the page''s row, or'
                ' delete them.', v_pages.unknown);
        end if;
    end if;
    if to_regclass(':data.contact_interaction_events') is null then
        return;
    end if;
    execute 'select count(*) from :data.contact_interaction_events where event_type is null'
        ' or (event_timestamp between ''0002-01-01 UTC'' and ''9999-01-01 UTC'') is not true'
        into v_count;
    if v_count > 0 then
        return next format('%s events have no type, no time, or one before year 2 or after 9998.'
            ' Correct them.', v_count);
    end if;
end
$$;

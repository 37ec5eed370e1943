-- What an adoption would do, as sentences.
create or replace function :own.plan_adoption()
returns setof text
language plpgsql stable
set search_path from current
as $$
declare
    v_pages record;
    v_count record;
    v_account text;
    v_tables text;
begin
    select string_agg(format('%s with %s rows', r.relname,
                             to_char(greatest(r.reltuples, 0), 'FM999,999,999,999')), ', '
                      order by r.relname) into v_tables
    from pg_class r
    where r.relnamespace = ':data'::regnamespace and r.relkind = 'r'
      and r.relname in ('facebook_pages', 'messenger_conversations', 'contact_interaction_events');
    return next format('The tables of the replaced application are adopted where they are: %s'
        ' (estimates). Rows keep their ids, columns of other names stay as they are.', v_tables);
    return query
    select format('%s.%s is %s, and stays so.', c.table_name, c.column_name, c.type)
    from list_table_columns() c
    where c.column_name = 'id' or c.column_name = 'user_id'
      and c.table_name <> 'contact_interaction_events'
    order by 1;
    return query
    select format('Columns are added to %s: %s.', k.table_name,
                  string_agg(k.column_name, ', ' order by k.column_name))
    from list_known_columns() k
    where k.declared is not null and to_regclass(format(':data.%I', k.table_name)) is not null
      and not exists (select from list_table_columns() c
                      where (c.table_name, c.column_name) = (k.table_name, k.column_name))
    group by k.table_name order by 1;
    return query
    select format('"not null" is taken from %s.%s: rows of ours may lack it.', c.table_name,
                  c.column_name)
    from list_optional_columns() c order by 1;

    if to_regclass(':data.messenger_conversations') is not null then
        select * into v_pages from describe_page_ids();
        v_account := case v_pages.kind when 'reference'
            then $s$coalesce((select p.facebook_page_id::text from :data.facebook_pages p
                              where p.id::text = m.page_id::text), m.page_id::text)$s$
            else 'm.page_id::text' end;
        if v_pages.kind <> 'account' then
            return next format('messenger_conversations.page_id is %s. It becomes the account''s id as'
                ' text; the old column stays as page_id_before. Rows that are inserted with the old'
                ' value are converted. Statements that compare it with what it held before find'
                ' nothing, or fail.',
                case v_pages.kind when 'number' then 'a number'
                     else 'the id of a row of facebook_pages' end);
        end if;
        if v_pages.kind = 'account' and v_pages.unknown > 0 then
            return next format('%s conversations are of pages that are not in facebook_pages. They'
                ' are kept, and synced once their page is added.', v_pages.unknown);
        end if;
        execute format($q$
            select coalesce(sum(n - 1), 0) as merged, count(*) as contacts,
                   count(*) filter (where owners > 1) as of_several
            from (select count(*) as n, count(distinct %s::text) as owners
                  from :data.messenger_conversations m
                  where m.page_id is not null and m.sender_id <> ''
                  group by %s, m.sender_id having count(*) > 1) d
            $q$, column_or('messenger_conversations', 'user_id', 'null'), v_account) into v_count;
        if v_count.merged > 0 then
            return next format('%s conversations are merged into others of the same page and sender'
                ' (%s contacts, %s of them with several owners). The newest stays, with its id; the'
                ' others are kept in merged_rows, and rows that refer to them are pointed to it.',
                v_count.merged, v_count.contacts, v_count.of_several);
        end if;
        execute 'select count(*) as n from :data.messenger_conversations'
            ' where page_id is null or sender_id is null or sender_id = ''''' into v_count;
        if v_count.n > 0 then
            return next format('%s conversations have no page or no sender. They stay as they are, and'
                ' are not synced.', v_count.n);
        end if;
    end if;
    if to_regclass(':data.contact_interaction_events') is not null
        and to_regclass(':data.messenger_conversations') is not null
    then
        execute format($q$
            with events as (
                select %1$s as message, split_part(c.event_type, '_', 1) as kind, c.event_type,
                       c.event_timestamp, o.page_id, o.sender_id, c.conversation_id,
                       o.id is null as is_orphan, %2$s as metadata
                from :data.contact_interaction_events c
                left join (select m.id, %3$s as page_id, m.sender_id
                           from :data.messenger_conversations m) o on o.id = c.conversation_id
            )
            select coalesce((select sum(n - 1) from (
                       select count(*) as n from events where message is not null and not is_orphan
                       group by page_id, case when starts_with(message, 'm_mid.')
                                              then substr(message, 3) else message end, kind
                       having count(*) > 1) d), 0) as merged,
                   coalesce((select sum(n - 1) from (
                       select count(*) as n from events where message is null and not is_orphan
                       group by page_id, sender_id, event_type, event_timestamp,
                                metadata ->> 'text' having count(*) > 1) d), 0) as merged_anonymous,
                   (select count(*) from events where message is null and not is_orphan) as anonymous,
                   (select count(*) from events where is_orphan) as orphans
            $q$, message_id_term(),
            column_or('contact_interaction_events', 'metadata', 'null::jsonb'), v_account)
            into v_count;
        if v_count.merged + v_count.merged_anonymous > 0 then
            return next format('%s events are stored twice: the newest stays with what only the'
                ' others have, the others are kept in merged_rows.',
                v_count.merged + v_count.merged_anonymous);
        end if;
        if v_count.anonymous > 0 then
            return next format('%s events have no message id. The first sync claims each of them for'
                ' the message that it is.', v_count.anonymous);
        end if;
        if v_count.orphans > 0 then
            return next format('%s events are of conversations that do not exist. They stay as they'
                ' are, and are not read.', v_count.orphans);
        end if;
    end if;
    if to_regclass(':data.facebook_pages') is not null then
        execute 'select coalesce(sum(n - 1), 0) as n from (select count(*) as n from'
            ' :data.facebook_pages group by facebook_page_id having count(*) > 1) d' into v_count;
        if v_count.n > 0 then
            return next format('%s rows of facebook_pages are of pages that several owners connected.'
                ' The newest stays.', v_count.n);
        end if;
        return next 'facebook_pages.last_synced_at of then does not say what was read: it is kept in'
            ' adopted_values and emptied, so the first sync of each page is a full one.';
        return query
        select format('facebook_pages.%s holds access tokens that stand in the clear. They are taken'
            ' over encrypted; the column stays as it is until `db upgrade --blank-plain-tokens`.'
            ' After that a downgrade restores no token.', t.column_name)
        from list_token_columns() t (column_name);
    end if;
    return query
    select format('Rows of %s follow: its %s refers to %s, whose merged rows are replaced by those'
                  ' that stay. Where a unique rule allows one of them only, the other is kept in'
                  ' merged_rows.', r.referencing, r.column_name, t.name)
    from unnest(array['facebook_pages', 'messenger_conversations', 'contact_interaction_events'])
        as t (name)
    cross join list_references(t.name) r
    where r.referencing::text !~ 'contact_interaction_events' order by 1;
    return query
    select format('The function %s is replaced by ours; what restores it, and its grants, is kept in'
                  ' adoption_changes.', describe_object('function', f.function_oid))
    from list_replaced_functions() f order by 1;
    return query
    select format('The %s is replaced by ours, likewise.', v.name)
    from unnest(array['view active_syncs', 'view sync_statistics']) as v (name)
    where exists (select from pg_class r where r.relkind = 'v'
                  and r.oid = to_regclass(format(':data.%I', split_part(v.name, ' ', 2))));
    return query
    select format('The index %s is replaced by one of this name that distinguishes messages by page and'
                  ' message id.', i.indexrelid::regclass)
    from list_replaced_indexes() i;
    return query
    select format('The table %s of then is kept apart as %s, and ours takes its place. Syncs of then'
                  ' are not resumed.', t.name, 'replaced_' || t.name)
    from unnest(array['sync_state', 'sync_locks']) as t (name)
    where to_regclass(format(':data.%I', t.name)) is not null
      and not exists (select from owned_objects o
                      where o.kind = 'table' and o.in_schema = 'data' and o.name = t.name);
    if to_regclass(':data.sync_locks') is not null then
        return query execute $q$
            select format('Page %s is locked by a sync of the replaced application until %s: ours'
                          ' waits for that.', page_id, expires_at)
            from :data.sync_locks where expires_at > clock_timestamp() order by 1 $q$;
    end if;
    return query
    select format('The trigger %s of %s fires for each row that is changed, because this role may not'
                  ' set session_replication_role.', t.tgname, t.tgrelid::regclass)
    from pg_trigger t
    where not t.tgisinternal and t.tgtype & 16 <> 0  -- updates
      and t.tgrelid in (to_regclass(':data.facebook_pages'),
                        to_regclass(':data.messenger_conversations'),
                        to_regclass(':data.contact_interaction_events'))
      and not has_parameter_privilege('session_replication_role', 'set')
    order by 1;
    return next 'The replaced application can go on writing meanwhile and after it, until it is'
        ' switched off. What it writes twice is refused from then on.';
end
$$;

-- What messenger_conversations.page_id holds: account, number or reference (the registry's id).
-- `unknown` conversations have an id that is neither, `ambiguous` ones an id that could be both.
create or replace function :own.describe_page_ids()
returns table (kind text, type text, unknown bigint, ambiguous bigint)
language plpgsql stable
set search_path from current
as $$
declare
    v_by_id bigint;
    v_registry text := case when to_regclass(':data.facebook_pages') is null
        then '(select null::text as id, null::text as account where false)'
        else '(select id::text as id, facebook_page_id::text as account from :data.facebook_pages)'
        end;
begin
    type := (select c.type from list_table_columns() c
             where c.table_name = 'messenger_conversations' and c.column_name = 'page_id');
    execute format($query$
        select coalesce(sum(n) filter (where i.id is not null), 0),
               coalesce(sum(n) filter (where i.id is null and a.account is null), 0),
               coalesce(sum(n) filter (where i.account <> a.account), 0)
        from (select page_id::text as page_id, count(*) as n
              from :data.messenger_conversations where page_id is not null group by 1) c
        left join (select distinct id, account from %1$s r) i on i.id = c.page_id
        left join (select distinct account from %1$s r) a on a.account = c.page_id
        $query$, v_registry) into v_by_id, unknown, ambiguous;
    kind := case when v_by_id > 0 or type = 'uuid' then 'reference'
                 when type = 'text' then 'account' else 'number' end;
    return next;
end
$$;

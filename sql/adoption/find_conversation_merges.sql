-- Finds conversations of one page and sender, and which of them stays: the newest. Returns how many
-- are to be merged.
create or replace function :own.find_conversation_merges()
returns bigint
language plpgsql
set search_path from current
set work_mem = '64MB'
as $$
declare
    v_rows bigint;
begin
    delete from adoption_work where kind = 'conversation';
    execute format($q$
        insert into adoption_work (kind, id, survivor_id)
        select 'conversation', d.id::text, d.survivor::text
        from (
            select m.id, first_value(m.id) over (
                       partition by m.%1$I, m.sender_id
                       order by m.last_message_time desc nulls last, m.updated_at desc nulls last,
                                m.created_at desc nulls last, m.id::text desc
                   ) as survivor
            from messenger_conversations m
            join (select %1$I as page_id, sender_id from messenger_conversations
                  where %1$I is not null and sender_id <> ''
                  group by 1, 2 having count(*) > 1) twice
                on twice.page_id = m.%1$I and twice.sender_id = m.sender_id
        ) d
        where d.id <> d.survivor
        $q$, account_column());
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

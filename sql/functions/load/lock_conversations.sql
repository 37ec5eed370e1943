-- Locks the conversations of a call, in order of sender_id. Returns them as two parallel arrays.
create or replace function :own.lock_conversations(p_page_id text, p_conversations jsonb)
returns table (sender_ids text[], conversation_ids :conversation_id_type[])
language plpgsql
set search_path from current
as $$
begin
    return query
    select coalesce(array_agg(i.sender_id), '{}'), coalesce(array_agg(locked.id), '{}')
    from (
        select r.sender_id from jsonb_to_recordset(p_conversations) as r (sender_id text)
        order by r.sender_id collate "C"
    ) i
    -- Row by row, by the unique index: during a page's first load the statistics do not know the
    -- page yet, and a join by page_id would read all of its rows for every response.
    cross join lateral (
        select c.id from messenger_conversations c
        where c.page_id = p_page_id and c.sender_id = i.sender_id
        for no key update
    ) locked;
end
$$;

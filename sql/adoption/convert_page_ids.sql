-- Fills page_id_after in some blocks of messenger_conversations. Returns the rows filled.
create or replace function :own.convert_page_ids(p_from bigint, p_to bigint)
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_rows bigint;
begin
    update messenger_conversations m
    set page_id_after = case
        when (select kind from describe_conversion()) = 'number' then m.page_id::text
        else coalesce((select p.facebook_page_id from facebook_pages p
                       where p.id::text = m.page_id::text), account_of(m.page_id::text)) end
    where m.ctid >= format('(%s,0)', p_from)::tid and m.ctid < format('(%s,0)', p_to)::tid
      and m.page_id_after is null and m.page_id is not null;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

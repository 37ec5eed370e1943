-- Empties the tokens that stand in the clear and are stored encrypted, or are of pages that were
-- removed, but none that was renewed since. Returns how many.
create or replace function :own.blank_tokens()
returns bigint
language plpgsql
set search_path from current
as $$
declare
    v_column text;
    v_rows bigint;
    v_all bigint := 0;
begin
    foreach v_column in array array(select list_token_columns()) loop
        -- Empty rather than NULL, which the replaced application's table may not allow.
        execute format(
            'update facebook_pages f set %1$I = '''' where f.%1$I <> '''''
            ' and f.facebook_page_id not in (select page_id from list_plain_tokens())'
            ' and (f.status = ''removed'''
            '      or exists (select from page_tokens t where t.page_id = f.facebook_page_id))',
            v_column);
        get diagnostics v_rows = row_count;
        v_all := v_all + v_rows;
    end loop;
    if v_all > 0 then
        insert into adoption_changes (statement, undo)
        values ('plain tokens were emptied: a downgrade restores none', 'select');
    end if;
    return v_all;
end
$$;

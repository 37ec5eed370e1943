-- Records the progress of the unread part of a list: see load_sync_response.
create or replace function :own.move_list_gap(p_moved jsonb)
returns void
language plpgsql
set search_path from current
as $$
begin
    if (p_moved ->> 'closed')::boolean then
        delete from list_gaps where id = (p_moved ->> 'id')::bigint;
        return;
    end if;
    update list_gaps g
    set resume_cursor = p_moved ->> 'resume_cursor',
        cursor_fingerprint = p_moved ->> 'cursor_fingerprint',
        -- A gap that is still being read down is not given up: see put_off_list_gap.
        first_failed_at = case when (p_moved ->> 'newest_time')::timestamptz < g.newest_time
            then now() else g.first_failed_at end,
        -- A pass from the top goes through what is read: keep the deepest time.
        newest_time = least(g.newest_time, (p_moved ->> 'newest_time')::timestamptz)
    where g.id = (p_moved ->> 'id')::bigint;
end
$$;

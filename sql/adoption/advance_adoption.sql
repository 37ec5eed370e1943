-- Records, in the transaction of a batch, how far its step is.
create or replace function :own.advance_adoption(
    p_step text, p_position bigint, p_rows bigint, p_is_finished boolean
) returns void
language sql
set search_path from current
as $$
    insert into adoption_steps as s (step, position, rows, finished_at)
    values (p_step, p_position, p_rows, case when p_is_finished then clock_timestamp() end)
    on conflict (step) do update
        set position = excluded.position, rows = s.rows + excluded.rows,
            finished_at = excluded.finished_at
$$;

-- Counts an attempt to read a gap, before the work: an attempt that ends its process counts too. A gap
-- that failed before also rests before it is due again, unless the attempt brings it on.
create or replace function :own.begin_gap(p_id bigint)
returns void
language plpgsql security definer
set search_path from current
as $$
begin
    -- A crash of the server can lose it only together with what was loaded since.
    perform set_config('synchronous_commit', 'off', true);
    update thread_gaps g
    set attempts = g.attempts + 1,
        not_before = case when g.last_error is null then g.not_before
                          else now() + gap_pause(g.attempts + 1) end
    where g.id = p_id;
end
$$;

-- Takes the lease on walking a page for p_seconds and returns its fencing token; NULL while another
-- run holds it. Taking it again under the same name returns a new token, and invalidates the old
-- one: work that started with it can no longer write.
create or replace function :own.take_lease(p_page_id text, p_locked_by text, p_seconds integer)
returns bigint
language plpgsql security definer
set search_path from current
as $$
declare
    v_token bigint;
begin
    -- A crash must not take the sequence back: two holders would have one token.
    perform commit_durably();
    -- A load holds the row "for key share" (see check_fence), which conflicts with "for update"
    -- alone; the update below would not wait for it, since token is no key. So no load straddles a
    -- change of holder.
    perform from sync_locks where page_id = p_page_id for update;
    insert into sync_locks as l (page_id, locked_by, locked_at, expires_at, token)
    values (p_page_id, p_locked_by, clock_timestamp(),
            clock_timestamp() + make_interval(secs => p_seconds), nextval('sync_lock_token'))
    on conflict (page_id) do update
        set locked_by = excluded.locked_by, locked_at = excluded.locked_at,
            expires_at = excluded.expires_at, token = excluded.token
        where l.expires_at <= clock_timestamp() or l.locked_by = excluded.locked_by
    returning l.token into v_token;
    return v_token;
end
$$;

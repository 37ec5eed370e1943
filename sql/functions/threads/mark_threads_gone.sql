-- Records that Meta no longer has these threads, and marks as deleted the conversations whose
-- threads are all gone. A later fact, from any source, revives a conversation; so one that has a
-- later fact already stays active. MPL01 if the lease is lost.
create or replace function :own.mark_threads_gone(
    p_session uuid, p_fence bigint, p_thread_ids text[], p_gone_at timestamptz[]
) returns void
language plpgsql security definer
set search_path from current
as $$
declare
    v_page_id text;
    v_deleted integer;
begin
    select page_id into v_page_id from sync_state
        where sync_session_id = p_session and outcome is null for no key update;
    perform check_fence(v_page_id, p_fence);
    update messenger_threads t
    set gone_at = g.gone_at
    from unnest(p_thread_ids, p_gone_at) as g (thread_id, gone_at)
    where t.page_id = v_page_id and t.thread_id = g.thread_id
      and (t.gone_at is null or t.gone_at < g.gone_at);
    -- Locks in the same order as loads, and before the events are read: a concurrent load may be
    -- adding a later one.
    perform from messenger_conversations c
    where c.id in (select t.conversation_id from messenger_threads t
                   where t.page_id = v_page_id and t.thread_id = any (p_thread_ids))
    order by c.sender_id for no key update;
    with gone as (
        select t.conversation_id as id, max(t.gone_at) as gone_at
        from messenger_threads t
        where t.conversation_id in (
            select g.conversation_id from messenger_threads g
            where g.page_id = v_page_id and g.thread_id = any (p_thread_ids))
        group by t.conversation_id
        having bool_and(t.gone_at is not null and t.answered_at <= t.gone_at)
    ), marked as (
        update messenger_conversations c
        set conversation_status = 'deleted', deleted_at = greatest(c.deleted_at, g.gone_at),
            version = c.version + (c.conversation_status <> 'deleted')::integer, updated_at = now()
        from gone g
        where c.id = g.id and (c.deleted_at is null or c.deleted_at < g.gone_at)
          and not exists (
              select from contact_interaction_events e
              where e.conversation_id = c.id and greatest(e.event_timestamp, e.as_of) > g.gone_at)
          and not exists (
              select from restatements r
              where r.conversation_id = c.id and r.as_of > g.gone_at)
          and not exists (
              select from claimed_messages m
              where m.conversation_id = c.id and greatest(m.event_timestamp, m.as_of) > g.gone_at)
        returning c.id
    )
    select count(*) into v_deleted from marked;
    update sync_state set deleted = deleted + v_deleted, updated_at = now(), changes = changes + 1
    where sync_session_id = p_session;
end
$$;

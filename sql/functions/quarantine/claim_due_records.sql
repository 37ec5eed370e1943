-- Returns up to p_limit unresolved records that are due to be tried again, those of removed pages and
-- whole deliveries excepted, and puts off their next attempt: after ten minutes, then twice as long
-- each time up to a day. Put off first, so that one that kills its process is not met at once again.
create or replace function :own.claim_due_records(p_limit integer)
returns setof bigint
language sql security definer
set search_path from current
as $$
    update quarantined_records q
    set retries = q.retries + 1,
        retry_at = now() + least(interval '1 day',
                                 interval '10 minutes' * 2 ^ least(q.retries + 1, 10))
    from (
        select r.id from quarantined_records r
        where r.resolved_at is null and r.retry_at <= now() and r.kind <> 'delivery'
          and not exists (
              select from facebook_pages p
              where p.facebook_page_id = r.page_id and p.status = 'removed')
        order by r.retry_at, r.id limit p_limit for update skip locked
    ) due
    where q.id = due.id
    returning q.id
$$;

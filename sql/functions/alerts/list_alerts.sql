-- Returns up to p_limit alerts: the open ones, errors first, newest first. With p_open_only false
-- the closed ones follow, those that closed last first.
create or replace function :own.list_alerts(
    p_open_only boolean default true, p_limit integer default 1000
) returns table (
    id bigint, kind text, page_id text, page_name text, severity text, summary text, details jsonb,
    opened_at timestamptz, last_seen_at timestamptz, closed_at timestamptz, sent_at timestamptz,
    closing_sent_at timestamptz, attempts integer, last_error text
)
language sql stable security definer
set search_path from current
as $$
    select a.id, a.kind, a.page_id, p.name, a.severity, a.summary, a.details, a.opened_at,
           a.last_seen_at, a.closed_at, a.sent_at, a.closing_sent_at, a.attempts, a.last_error
    from (
        (select * from alerts where closed_at is null)
        union all
        (select * from alerts where closed_at is not null and not p_open_only
         order by closed_at desc limit p_limit)
    ) a
    left join facebook_pages p on p.facebook_page_id = a.page_id
    order by a.closed_at is not null, a.closed_at desc, a.severity, a.opened_at desc, a.id desc
    limit p_limit
$$;

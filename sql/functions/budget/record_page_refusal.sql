-- Records that Meta refuses a page, and not only one of its threads. Returns NULL if that is the
-- page's own affair. If several pages meet the same error at the same time it is the app's: then no
-- page is switched off, all calls of the app pause, and the seconds of the pause are returned. It
-- ends with the first answer (record_page_answer).
--
-- It is the app's if at least 3 pages met the error within 20 minutes, and more than half of the
-- pages that called Meta since the first of them. Each time that an answer has shown otherwise, it
-- takes twice as many pages for a day: three pages of one owner stop the others only once.
--
-- p_error: Meta's code and subcode; or terms, sending, which are never the app's; or unsupported.
create or replace function :own.record_page_refusal(
    p_page_id text, p_app_id text, p_error text, p_reason text
) returns double precision
language plpgsql security definer
set search_path from current
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_app app_refusals;
    v_scope text := 'refused:' || p_app_id;
    v_from timestamptz;
    v_first timestamptz;
    v_pages integer;
    v_until timestamptz;
begin
    -- The last of several pages must see the refusals of all others.
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.refusals'));
    insert into page_refusals as r (page_id, error, reason, first_at, last_at)
    values (p_page_id, p_error, p_reason, v_now, v_now)
    on conflict (page_id, error) do update
        set reason = excluded.reason, last_at = v_now;
    if p_error in ('terms', 'sending') then
        return null;
    end if;
    select * into v_app from app_refusals where app_id = p_app_id;
    if v_app.app_id is null or v_app.answered_at is not null then
        v_from := greatest(v_now - interval '20 minutes', v_app.answered_at);
        select count(*), min(greatest(r.first_at, v_from)) into v_pages, v_first
            from page_refusals r where r.error = p_error and r.last_at > v_from;
        if v_app.answered_at is null or v_app.answered_at < v_now - interval '1 day' then
            v_app.answers := 0;
        end if;
        if v_pages < 3 * 2 ^ least(v_app.answers, 10)
            or v_pages <= (
                select count(*) from graph_api_budget b
                where b.scope like 'page:%' and b.last_call_at >= v_first
                  and not exists (
                      select from page_refusals r
                      where r.page_id = substr(b.scope, 6) and r.error = p_error
                        and r.last_at > v_from))
        then
            return null;
        end if;
        insert into app_refusals as a (app_id, error, reason, pages, since, pauses, answers)
        values (p_app_id, p_error, p_reason, v_pages, v_first, 0, v_app.answers)
        on conflict (app_id) do update
            set error = excluded.error, reason = excluded.reason, since = excluded.since,
                pauses = 0, answered_at = null, answers = excluded.answers;
        -- Those that met it first may have been switched off already.
        update facebook_pages p
        set status = 'active', status_reason = null, updated_at = now()
        from page_refusals r
        where r.page_id = p.facebook_page_id and r.error = p_error and r.last_at > v_from
          and p.status = 'needs_reauthorization';
    end if;
    update page_tokens set refused_at = null, refused_as = null
    where page_id in (select page_id from page_refusals where error = p_error);
    select blocked_until into v_until from graph_api_budget where scope = v_scope;
    if v_until is null or v_until <= v_now then
        update app_refusals set pauses = pauses + 1 where app_id = p_app_id returning * into v_app;
        v_until := v_now + least(interval '1 hour',
                                 interval '5 minutes' * 2 ^ least(v_app.pauses - 1, 10));
        insert into graph_api_budget as b (scope, blocked_until, updated_at)
        values (v_scope, v_until, v_now)
        on conflict (scope) do update set blocked_until = v_until, updated_at = v_now;
    end if;
    update app_refusals a
    set reason = p_reason,
        pages = (select count(*) from page_refusals r
                 where r.error = a.error and r.last_at >= a.since)
    where a.app_id = p_app_id;
    return extract(epoch from v_until - clock_timestamp())::double precision;
end
$$;

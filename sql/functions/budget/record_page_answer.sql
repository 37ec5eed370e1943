-- Records that Meta answers for a page: what it refused it before is over. If Meta refused the app's
-- calls, that is over too, and every sync that waits for it is due.
--
-- A restriction of sending stays: Meta answers for such a page.
create or replace function :own.record_page_answer(p_page_id text, p_app_id text)
returns void
language plpgsql security definer
set search_path from current
as $$
begin
    -- Most calls end here: nothing is refused, and nothing is locked.
    if not exists (select from page_refusals
                   where page_id = p_page_id and error <> 'sending')
        and not exists (select from app_refusals
                        where app_id = p_app_id and answered_at is null)
    then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtext('messenger_pipeline.refusals'));
    delete from page_refusals where page_id = p_page_id and error <> 'sending';
    update app_refusals set answered_at = clock_timestamp(), answers = answers + 1
    where app_id = p_app_id and answered_at is null;
    if found then
        delete from page_refusals r using app_refusals a
        where a.app_id = p_app_id and r.error = a.error;
        delete from graph_api_budget where scope = 'refused:' || p_app_id;
        update sync_state set not_before = now()
        where outcome is null and not_before > now()
          and waiting_for like 'Meta refuses the app%';
    end if;
end
$$;

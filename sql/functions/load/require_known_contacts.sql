-- Raises 40P01 if another transaction has stored, since find_thread_contacts looked, a message that
-- shows the contact of a thread without one. As after a deadlock, every caller repeats the call: it
-- has waited for that transaction when it inserted the same message, and then finds the contact.
create or replace function :own.require_known_contacts(p_page_id text, p_conversations jsonb)
returns void
language plpgsql
set search_path from current
as $$
begin
    -- Few pages have such threads.
    if exists (
        select from contactless_threads t where t.page_id = p_page_id and t.sender_id is null)
       and exists (select from find_identified_threads(p_page_id, p_conversations))
    then
        raise exception 'another transaction stored a message of a thread whose contact was not known'
            using errcode = '40P01', hint = 'Retry.';
    end if;
end
$$;

-- Returns the attachments of two statements of one message: see join_attachments, which costs more.
-- Most messages have none, and most answers of the API repeat those that are stored.
create or replace function :own.merge_attachments(
    p_stored jsonb, p_stated jsonb, p_later boolean
) returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    select case
        when not (p_stated ? 'attachments' or p_stored ? 'attachments'
                  or p_stated ? 'webhook_attachments' or p_stored ? 'webhook_attachments')
        then '{}'
        when stable_json(p_stated -> 'attachments') = stable_json(p_stored -> 'attachments')
             and not p_stated ? 'webhook_attachments'
             and not exists (select from list_attachments(p_stated) l
                             where not is_answer_attachment(l.attachment))
        then jsonb_build_object('attachments',
                 (case when p_later then p_stated else p_stored end) -> 'attachments')
             || case when p_stored ? 'webhook_attachments'
                     then jsonb_build_object('webhook_attachments', p_stored -> 'webhook_attachments')
                     else '{}' end
        else join_attachments(p_stored, p_stated, p_later)
    end
$$;

-- Returns the metadata of an unsent message, or of one of its edits, without anything of its content:
-- only what this program wrote about it stays.
create or replace function :own.blanked(p_metadata jsonb)
returns jsonb
language sql immutable parallel safe
begin atomic
    select coalesce(jsonb_object_agg(key, value), '{}')
    from jsonb_each(p_metadata)
    where key in ('source', 'message_id', 'unsent_at', 'sender_id', 'sent_by', 'is_echo', 'is_self',
                  'app_id', 'standby', 'num_edit', 'message_unsent');
end;

-- Returns the keys of metadata that are a message's content. stated_text is the text before an edit;
-- for webhook_attachments see join_attachments.
create or replace function :own.content_keys()
returns text[]
language sql immutable parallel safe
return array['text', 'attachments', 'webhook_attachments', 'shares', 'sticker', 'reactions',
             'reply_to', 'story', 'is_unsupported', 'stated_text'];

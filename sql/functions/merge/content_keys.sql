-- Returns the keys of metadata that are a message's content: the latest statement replaces the
-- earlier ones. stated_text is the text before an edit.
create or replace function :own.content_keys()
returns text[]
language sql immutable parallel safe
return array['text', 'attachments', 'shares', 'sticker', 'reactions', 'reply_to', 'story',
             'is_unsupported', 'stated_text'];

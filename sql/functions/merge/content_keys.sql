-- What a message says, as keys of metadata: the latest statement of it replaces the others.
-- stated_text is what it said before it was edited.
create or replace function :own.content_keys()
returns text[]
language sql immutable parallel safe
return array['text', 'attachments', 'shares', 'sticker', 'reactions', 'reply_to', 'story',
             'is_unsupported', 'stated_text'];

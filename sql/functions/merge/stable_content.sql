-- Returns the stable part of an event's metadata, for comparison: without the URLs of Meta's
-- content network, which are signed again in every response and expire. A message's text is left
-- alone, whatever it looks like.
create or replace function :own.stable_content(p_metadata jsonb)
returns text
language sql immutable parallel safe
return coalesce(
    regexp_replace(
        (p_metadata - 'text')::text,
        '"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"', '""', 'g')
    || coalesce((p_metadata -> 'text')::text, ''), '');

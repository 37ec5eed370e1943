-- What of an event's metadata lasts: without the addresses of Meta's content network, which are
-- signed anew in every answer and expire. A text is somebody's words, whatever it looks like.
create or replace function :own.stable_content(p_metadata jsonb)
returns text
language sql immutable parallel safe
return coalesce(
    regexp_replace(
        (p_metadata - 'text')::text,
        '"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"', '""', 'g')
    || coalesce((p_metadata -> 'text')::text, ''), '');

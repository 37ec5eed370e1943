-- Returns a JSON value as text without the URLs of Meta's content network, which are signed again in
-- every response and expire.
create or replace function :own.stable_json(p_value jsonb)
returns text
language sql immutable parallel safe
return regexp_replace(
    p_value::text, '"https?://[^"/]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[^"]*"', '""', 'g');

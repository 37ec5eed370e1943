-- Returns what recognizes a text of a message without keeping it; p_text is NULL for a message without
-- a text.
create or replace function :own.text_digest(p_message_key text, p_text text)
returns bytea
language sql immutable parallel safe
return sha256(convert_to(p_message_key || coalesce(' ' || p_text, ''), 'UTF8'));

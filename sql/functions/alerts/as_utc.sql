-- Returns a time in the format of alert texts: UTC, to the minute.
create or replace function :own.as_utc(p_at timestamptz)
returns text
language sql stable
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');

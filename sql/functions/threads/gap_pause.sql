-- Returns how long a gap rests after its p_attempts-th failure in a row: 5 minutes, then twice as
-- long each time, up to a day.
create or replace function :own.gap_pause(p_attempts integer)
returns interval
language sql immutable
return least(interval '1 day', interval '5 minutes' * 2 ^ least(greatest(p_attempts, 1) - 1, 10));

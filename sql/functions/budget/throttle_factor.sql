-- Returns the factor by which to lengthen the time between calls when p_used percent of Meta's
-- quota are used up and p_reserve_percent percent are left to other calls. It is 1 below half of
-- the remaining share, and rises to 20 at its end.
create or replace function :own.throttle_factor(p_used integer, p_reserve_percent integer)
returns double precision
language sql immutable parallel safe
return (
    select case
        when ours.share <= 0.5 then 1.0
        else least(20.0, 0.5 / greatest(1.0 - ours.share, 0.001))
    end
    from (select p_used::double precision / greatest(100 - p_reserve_percent, 1) as share) as ours
);

-- By how much to lengthen the time between calls when p_used percent of Meta's quota are used up
-- and p_reserve_percent percent of it are to be left to others: 1 below half of what is ours, ever more up
-- to 20 at the end of it.
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

-- Discards unresolved records: they stay, with who discarded them and why, but nobody has to act on
-- them any more. Returns the number of records that were discarded.
create or replace function :own.discard_quarantined(
    p_ids bigint[], p_discarded_by text, p_reason text
) returns bigint
language sql
set search_path from current
as $$
    select commit_durably();
    with discarded as (
        update quarantined_records
        set resolved_at = now(), discarded_by = p_discarded_by, discard_reason = p_reason
        where id = any (p_ids) and resolved_at is null
        returning 1
    )
    select count(*) from discarded
$$;

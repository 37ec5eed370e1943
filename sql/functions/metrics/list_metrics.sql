-- Returns the figures that all processes share, for Prometheus, as of one moment. Labels are in the
-- order of messenger_pipeline/web/catalogue.py. No row is about a single page or token.
create or replace function :own.list_metrics(p_limit bigint default 100000)
returns table (metric text, labels text[], value double precision)
language sql stable
set search_path from current
set jit = off  -- compiling takes longer than running it
as $$
    select * from get_sync_figures()
    union all
    select * from get_page_figures()
    union all
    select * from get_webhook_figures(p_limit)
    order by 1, 2
$$;

-- Everything that the processes share and Prometheus is told, as of one moment. Labels are in the
-- order that messenger_pipeline/web/catalogue.py gives. No row is of a single page or token.
create or replace function :own.list_metrics(p_most bigint default 100000)
returns table (metric text, labels text[], value double precision)
language sql stable
set search_path from current
set jit = off  -- compiling takes longer than all of it
as $$
    select * from get_sync_figures()
    union all
    select * from get_page_figures()
    union all
    select * from get_webhook_figures(p_most)
    order by 1, 2
$$;

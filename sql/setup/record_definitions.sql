-- Records how what restore_dropped makes anew is defined now; leaves out what is not there. Nothing
-- before revision 0004.
create or replace function :own.record_definitions()
returns void
language plpgsql
set search_path from current
as $$
begin
    if to_regclass(':own.recorded_definitions') is null then
        return;
    end if;
    with defined as (
        select t.name as object, d.kind, d.statement, d.ordinality as position
        from unnest(array['sync_state', 'sync_locks']) as t (name)
        cross join lateral describe_table(to_regclass(format(':data.%I', t.name)))
            with ordinality as d (kind, statement, ordinality)
        union all
        select 'version', 'column', format(
            'alter table :data.messenger_conversations add column version integer%s default 0',
            case when a.attnotnull then ' not null' end), 1
        from pg_attribute a
        where a.attrelid = ':data.messenger_conversations'::regclass and a.attname = 'version'
          and not a.attisdropped
        union all
        select 'version', 'comment', format(
            'comment on column :data.messenger_conversations.version is %L',
            col_description(a.attrelid, a.attnum)), 2
        from pg_attribute a
        where a.attrelid = ':data.messenger_conversations'::regclass and a.attname = 'version'
          and not a.attisdropped and col_description(a.attrelid, a.attnum) is not null
    ),
    gone as (
        delete from recorded_definitions r
        where not exists (select from defined d
                          where (d.object, d.position) = (r.object, r.position))
    )
    insert into recorded_definitions as r (object, position, kind, statement)
    select d.object, d.position, d.kind, d.statement from defined d
    where d.statement is not null
    on conflict (object, position) do update
        set kind = excluded.kind, statement = excluded.statement
        where (r.kind, r.statement) is distinct from (excluded.kind, excluded.statement);
end
$$;

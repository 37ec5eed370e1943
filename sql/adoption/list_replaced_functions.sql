-- The functions under the names of the contract that are not ours, and whether each has the
-- signature of the replaced application's.
create or replace function :own.list_replaced_functions()
returns table (function_oid oid, name text, is_recognized boolean)
language sql stable
set search_path from current
as $$
    select p.oid, p.proname::text,
           l.lanname in ('sql', 'plpgsql') and p.prokind = 'f' and case p.proname
               when 'cleanup_expired_locks'
                   then p.pronargs = 0 and p.prorettype in (
                       'integer'::regtype, 'bigint'::regtype, 'void'::regtype)
               when 'acquire_sync_lock'
                   then p.pronargs between 2 and 3 and p.prorettype = 'boolean'::regtype
               when 'release_sync_lock'
                   then p.pronargs = 2 and p.prorettype in ('boolean'::regtype, 'void'::regtype)
               when 'extend_sync_lock'
                   then p.pronargs between 2 and 3
                    and p.prorettype in ('boolean'::regtype, 'void'::regtype)
               else p.pronargs >= 2
                and array['jsonb'::regtype, 'json'::regtype, 'jsonb[]'::regtype]::oid[]
                    && p.proargtypes::oid[] end
    from pg_proc p
    join pg_language l on l.oid = p.prolang
    where p.pronamespace = ':data'::regnamespace
      and p.proname in ('acquire_sync_lock', 'release_sync_lock', 'extend_sync_lock',
                        'cleanup_expired_locks', 'upsert_conversation_with_events',
                        'bulk_upsert_conversations_with_events')
      and not exists (select from owned_objects o
                      where o.kind = 'function' and o.in_schema = 'data' and o.name = p.proname)
$$;

-- What messenger_conversations.page_id held when the adoption began: the trigger says it.
create or replace function :own.describe_conversion()
returns table (kind text)
language sql stable
set search_path from current
as $$
    select split_part(encode(t.tgargs, 'escape'), '\000', 1)
    from pg_trigger t
    where t.tgrelid = to_regclass(':data.contact_interaction_events')
      and t.tgname = 'messenger_pipeline_fill'
$$;

-- Returns the statements of the events that p_conversations states more than once, at most two of
-- each, which a merge takes to the same rows as all of them one by one. The first one has the content
-- that wins, when it was first stated, and what is joined of all: attachments, details, the time. The
-- second one has the same content when it was last stated. A delivery can state a message a thousand
-- times, once for each attachment.
--
-- p_conversations: see merge_conversations. `texts` are all texts of the statements that are not
-- unsent.
create or replace function :own.combine_statements(p_conversations jsonb)
returns jsonb
language sql immutable
set search_path from current
as $$
    with stated as materialized (
        select *
        from (
            select message_key(e.message_id) as message_id, event_kind(e.event_type) as kind,
                   coalesce(e.discriminator, '') as discriminator, e.event_type, e.event_timestamp,
                   coalesce(e.as_of, i.as_of) as as_of, coalesce(e.metadata, '{}') as metadata,
                   count(*) over (
                       partition by message_key(e.message_id), event_kind(e.event_type),
                                    coalesce(e.discriminator, '')
                   ) as statements
            from jsonb_to_recordset(p_conversations) as i (as_of timestamptz, events jsonb)
            cross join lateral jsonb_to_recordset(i.events) as e (
                event_type text, event_timestamp timestamptz, message_id text, discriminator text,
                as_of timestamptz, metadata jsonb)
            where e.message_id is not null
        ) all_stated
        where statements > 1
    ), chosen as (
        -- As merge_stored_events_turn ranks contents.
        select distinct on (message_id, kind, discriminator)
               message_id, kind, discriminator, content, first_as_of, last_as_of
        from (
            select s.message_id, s.kind, s.discriminator,
                   (array_agg(content_of(s.metadata) order by s.as_of desc))[1] as content,
                   min(s.as_of) as first_as_of, max(s.as_of) as last_as_of,
                   coalesce(min(s.metadata ->> 'text'), '') as text, p.printed
            from stated s
            cross join lateral (
                select stable_content(content_of(s.metadata)) as printed
            ) p
            group by s.message_id, s.kind, s.discriminator, p.printed
        ) contents
        order by message_id, kind, discriminator, last_as_of desc, text collate "C" desc,
                 printed collate "C" desc
    ), details as (
        -- As merge_details, for more than two.
        select message_id, kind, discriminator, jsonb_object_agg(key, value) as metadata
        from (
            select distinct on (s.message_id, s.kind, s.discriminator, d.key)
                   s.message_id, s.kind, s.discriminator, d.key, d.value
            from stated s
            cross join lateral jsonb_each(s.metadata - content_keys()) as d (key, value)
            order by s.message_id, s.kind, s.discriminator, d.key,
                     d.key = 'sent_by' and d.value = '"unknown"', d.value::text collate "C" desc
        ) greatest_values
        group by message_id, kind, discriminator
    ), listed as materialized (
        select s.message_id, s.kind, s.discriminator, s.as_of, l.attachment,
               is_answer_attachment(l.attachment) as of_answer, l.at, s.statement
        from (select *, row_number() over () as statement from stated) s
        cross join lateral list_attachments(s.metadata) as l
    ), attachments as (
        -- Of answers the one that join_attachments would choose, and every one of webhooks.
        select message_id, kind, discriminator, jsonb_agg(attachment order by turn, at) as list
        from (
            select a.message_id, a.kind, a.discriminator, 1 as turn, l.attachment, l.at
            from (
                select distinct on (message_id, kind, discriminator)
                       message_id, kind, discriminator, list
                from (
                    select message_id, kind, discriminator, max(as_of) as as_of,
                           jsonb_agg(attachment order by at) as list
                    from listed where of_answer
                    group by message_id, kind, discriminator, statement
                ) answers
                order by message_id, kind, discriminator, jsonb_array_length(list) desc,
                         stable_json(list) collate "C" desc, as_of desc
            ) a
            cross join lateral jsonb_array_elements(a.list) with ordinality as l (attachment, at)
            union all
            select message_id, kind, discriminator, 2, attachment, row_number() over ()
            from (
                -- Of two addresses of one attachment the fresher.
                select distinct on (l.message_id, l.kind, l.discriminator, k.key, k.content)
                       l.message_id, l.kind, l.discriminator, l.attachment
                from listed l
                cross join lateral (
                    select attachment_key(l.attachment) as key,
                           stable_json(l.attachment) as content
                ) k
                where not l.of_answer
                order by l.message_id, l.kind, l.discriminator, k.key, k.content, l.as_of desc
            ) delivered
        ) joined
        group by message_id, kind, discriminator
    ), facts as (
        select message_id, kind, discriminator,
               max(event_type collate "C") as event_type,
               -- The more precise time, then the earlier.
               coalesce(
                   min(event_timestamp)
                       filter (where date_trunc('second', event_timestamp) <> event_timestamp),
                   min(event_timestamp)) as event_timestamp,
               jsonb_agg(distinct coalesce(metadata -> 'text', 'null'))
                   filter (where not metadata ?| array['unsent_at', 'message_unsent']) as texts
        from stated
        group by message_id, kind, discriminator
    )
    select jsonb_build_array(jsonb_build_object('events', coalesce(jsonb_agg(s.statement), '[]')))
    from facts f
    join chosen c using (message_id, kind, discriminator)
    left join details d using (message_id, kind, discriminator)
    left join attachments a using (message_id, kind, discriminator)
    cross join lateral (
        select jsonb_build_object(
            'event_type', f.event_type, 'event_timestamp', f.event_timestamp,
            'message_id', f.message_id, 'discriminator', f.discriminator) as identity
    ) i
    cross join lateral (
        select i.identity || jsonb_build_object(
            'as_of', c.first_as_of, 'texts', coalesce(f.texts, '[]'),
            'metadata', coalesce(d.metadata, '{}') || c.content
                || case when a.list is null then '{}'
                        else jsonb_build_object('attachments', a.list) end)
        union all
        select i.identity || jsonb_build_object(
            'as_of', c.last_as_of, 'texts', '[]'::jsonb, 'metadata', c.content)
        where c.last_as_of > c.first_as_of
    ) s (statement)
$$;

-- Joins the attachments of two statements of one message. Returns {attachments} with one entry per
-- attachment, and {webhook_attachments} where needed; '{}' if there are none. Commutative and
-- idempotent; messenger_pipeline/attachments.py states the rules in Python, and a test compares the
-- two. p_later: whether the second statement is the later one; its URLs are fresher.
--
-- - Webhooks may state the attachments of a message one by one: theirs are joined by attachment_key.
-- - An answer of the API states all that a message has: of two answers the one that has more counts.
-- - The two use different ids and URLs. So each of an answer's attachments stands for one of a
--   webhook: for one of the same kind, else for any other medium.
-- - Likewise `sticker` stands for `image`, and `ig_post` for `share`: Meta sent both for a while.
-- - What another one stands for is kept in webhook_attachments, so that the order does not matter.
create or replace function :own.join_attachments(
    p_stored jsonb, p_stated jsonb, p_later boolean default false
) returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    with given as materialized (
        select g.turn, l.attachment, l.at, is_answer_attachment(l.attachment) as of_answer,
               case when g.turn = 2 and p_later then 1 when g.turn = 1 and not p_later then 1
                    else 0 end as fresh
        from (values (1, p_stored), (2, p_stated)) as g (turn, metadata)
        cross join lateral list_attachments(g.metadata) as l
    ), answer as materialized (
        select list, kinds, media, templates
        from (
            select jsonb_agg(g.attachment order by g.at) as list, max(g.fresh) as fresh,
                   array_agg(attachment_kind(g.attachment)) as kinds,
                   count(*) filter (where attachment_kind(g.attachment) <> 'template') as media,
                   count(*) filter (where attachment_kind(g.attachment) = 'template') as templates
            from given g where g.of_answer group by g.turn
        ) lists
        order by jsonb_array_length(list) desc, stable_json(list) collate "C" desc, fresh desc
        limit 1
    ), delivered as materialized (
        -- One per key: of twins the form that Meta still sends, then the greater.
        select distinct on (k.key collate "C")
               k.key collate "C" as key, g.attachment, attachment_kind(g.attachment) as kind
        from given g
        cross join lateral (select attachment_key(g.attachment) as key) k
        where not g.of_answer
        order by k.key collate "C",
                 coalesce(g.attachment ->> 'type' in ('image', 'share'), false),
                 stable_json(g.attachment) collate "C" desc, g.fresh desc
    ), twins as (
        select d.key, row_number() over (partition by d.kind order by d.key) as rank,
               (select count(*) from delivered o
                where (d.kind, o.kind) in (('image', 'sticker'), ('share', 'ig_post'))) as many
        from delivered d
        where d.kind in ('image', 'share')
    ), listed as (
        select d.key,
               row_number() over (
                   partition by d.kind = 'template'
                   order by case d.kind when 'sticker' then 'image' else d.kind end
                                = any (a.kinds) desc, d.key) as rank,
               case when d.kind = 'template' then a.templates else a.media end as many
        from delivered d
        cross join answer a
        where d.kind in ('image', 'sticker', 'video', 'audio', 'file', 'other', 'template')
          and d.key not in (select key from twins where rank <= many)
    ), represented as (
        select key from twins where rank <= many
        union all select key from listed where rank <= many
    )
    select case when found.shown is null then '{}'
                else jsonb_build_object('attachments', found.shown) end
        || case when found.represented is null then '{}'
           else jsonb_build_object('webhook_attachments', found.represented) end
    from (
        select (select list from answer) as answer,
               jsonb_agg(d.attachment order by d.key) filter (where r.key is null) as apart,
               jsonb_agg(d.attachment order by d.key) filter (where r.key is not null)
                   as represented
        from delivered d left join represented r on r.key = d.key
    ) parts
    cross join lateral (
        select case when parts.answer is null then parts.apart
                    else parts.answer || coalesce(parts.apart, '[]') end as shown,
               parts.represented
    ) found
$$;

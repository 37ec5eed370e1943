-- Returns what identifies an attachment within its message: its kind with an id, its coordinates or
-- its URL, else all of it. A message has at most one sticker.
create or replace function :own.attachment_key(p_attachment jsonb)
returns text
language sql immutable parallel safe
set search_path from current
as $$
    select case
        when attachment_kind(p_attachment) = 'sticker' then 'sticker'
        when jsonb_typeof(p_attachment #> '{payload,coordinates}') = 'object'
        then 'location ' || (p_attachment #> '{payload,coordinates}')::text
        else coalesce(
            (select format('%s %s %s', attachment_kind(p_attachment), i.name, i.id #>> '{}')
             from unnest(array['id', 'ig_post_media_id', 'reel_video_id', 'booking_id', 'attachment_id'],
                         array[p_attachment #> '{payload,id}', p_attachment #> '{payload,ig_post_media_id}',
                               p_attachment #> '{payload,reel_video_id}',
                               p_attachment #> '{payload,booking_id}',
                               p_attachment #> '{payload,attachment_id}'])
                  with ordinality as i (name, id, at)
             where jsonb_typeof(i.id) in ('number', 'string') order by i.at limit 1),
            'id ' || case when jsonb_typeof(p_attachment -> 'id') in ('number', 'string')
                          then p_attachment ->> 'id' end,
            'url ' || attachment_url(p_attachment),
            stable_json(p_attachment)) end
$$;

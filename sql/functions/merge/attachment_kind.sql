-- Returns the kind of an attachment, which the forms of webhooks and of the API share where they can.
create or replace function :own.attachment_kind(p_attachment jsonb)
returns text
language sql immutable parallel safe
set search_path from current
as $$
    select case
        when jsonb_typeof(p_attachment) <> 'object' then 'other'
        when is_answer_attachment(p_attachment) then case
            when p_attachment ? 'generic_template' then 'template'
            when p_attachment ? 'video_data' then 'video'
            when p_attachment ? 'image_data' then 'image'
            when split_part(p_attachment ->> 'mime_type', '/', 1) in ('image', 'video', 'audio')
            then split_part(p_attachment ->> 'mime_type', '/', 1)
            else 'file' end
        when p_attachment ->> 'type' = 'image'
         and jsonb_typeof(p_attachment #> '{payload,sticker_id}') in ('number', 'string')
        then 'sticker'
        else coalesce(p_attachment ->> 'type', 'other') end
$$;

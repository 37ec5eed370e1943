-- Returns the main URL of an attachment, as stable_url has it; NULL if it has none.
create or replace function :own.attachment_url(p_attachment jsonb)
returns text
language sql immutable parallel safe
set search_path from current
as $$
    select stable_url((
        select u.url #>> '{}'
        from unnest(array[
            p_attachment #> '{payload,url}', p_attachment -> 'url', p_attachment -> 'URL',
            p_attachment #> '{video_data,url}', p_attachment #> '{image_data,url}',
            p_attachment -> 'file_url']) with ordinality as u (url, at)
        where jsonb_typeof(u.url) = 'string' order by u.at limit 1))
$$;

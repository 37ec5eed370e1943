-- Returns whether an attachment has the form of the API's answers; others have that of webhooks.
create or replace function :own.is_answer_attachment(p_attachment jsonb)
returns boolean
language sql immutable parallel safe
return jsonb_typeof(p_attachment) = 'object' and not p_attachment ? 'type'
   and p_attachment ?| array['mime_type', 'name', 'size', 'image_data', 'video_data', 'file_url',
                             'generic_template'];

-- Merges the metadata of two statements of one event without a message id. When each was stated is
-- not kept, so of two contents the greater wins.
create or replace function :own.merge_anonymous_content(p_stored jsonb, p_stated jsonb)
returns jsonb
language sql immutable parallel safe
set search_path from current
as $$
    select merge_details(p_stored - content_keys(), p_stated - content_keys())
        || case when (coalesce(p_stated ->> 'text', '') collate "C",
                      stable_content(content_of(p_stated)) collate "C")
                     > (coalesce(p_stored ->> 'text', '') collate "C",
                        stable_content(content_of(p_stored)) collate "C")
                then content_of(p_stated) else content_of(p_stored) end
        || merge_attachments(p_stored, p_stated, false)
$$;

-- Returns what stays the same of a URL when Meta signs it again: of one of its content network the
-- asset's id, else the path without the size of the picture; of any other URL all of it.
create or replace function :own.stable_url(p_url text)
returns text
language sql immutable parallel safe
return coalesce(
    case when p_url ~ '^https?://[^/?#]*\.(fbcdn\.net|fbsbx\.com|cdninstagram\.com)[/?]'
         then coalesce('asset ' || substring(p_url from '[?&]asset_id=([^&#]+)'),
                       regexp_replace(substring(p_url from '^https?://[^/?#]*([^?#]*)'),
                                      '/[psc][0-9][0-9x.]*(?=/)', '', 'g'))
    end, p_url);

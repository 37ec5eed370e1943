-- Returns a message's metadata as its own statements have it, without the effect of an edit.
create or replace function :own.without_edit(p_metadata jsonb)
returns jsonb
language sql immutable parallel safe
return case
    when not p_metadata ? 'stated_text' then p_metadata
    when p_metadata -> 'stated_text' = 'null' then p_metadata - array['stated_text', 'text']
    else p_metadata - 'stated_text' || jsonb_build_object('text', p_metadata -> 'stated_text')
end;

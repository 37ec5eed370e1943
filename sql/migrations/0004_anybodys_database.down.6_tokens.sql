-- Kept as long as an adoption is on record: without it, tokens that the replaced application renews
-- from now on could not be distinguished from older ones.
do $$
begin
    if to_regclass(':own.adoption_steps') is null then
        alter table :own.page_tokens drop column adopted_digest;
    end if;
end
$$;

-- Makes this transaction's commit survive a crash of the server, because it is acknowledged to somebody, even
-- if the database commits asynchronously by default. A stricter default, remote_apply, is kept.
create or replace function :own.commit_durably()
returns void
language plpgsql
set search_path from current
as $$
begin
    -- Not as a SET clause of the caller: that ends with the function, before the commit.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
end
$$;

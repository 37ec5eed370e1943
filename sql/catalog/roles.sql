-- The roles of the server, as statements name them.
select quote_ident(r.rolname) from pg_roles r

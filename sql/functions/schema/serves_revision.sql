-- Returns whether a process whose newest migration is p_revision works with this schema. During a
-- rolling upgrade processes of the previous release still run: its revision stays listed until a
-- release removes a function or column that it uses.
create or replace function :own.serves_revision(p_revision text)
returns boolean
language sql immutable
return p_revision in ('0004');

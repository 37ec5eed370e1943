-- Whether a process whose newest migration is p_revision works with this schema. During a rolling
-- upgrade processes of the release before go on: it stays listed until one of its functions or
-- columns is taken away.
create or replace function :own.serves_revision(p_revision text)
returns boolean
language sql immutable
return p_revision in ('0001');

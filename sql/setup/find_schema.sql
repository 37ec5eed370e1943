-- The schema that 'data' or 'own' stands for.
create or replace function :own.find_schema(p_in_schema text)
returns regnamespace
language sql immutable
return case p_in_schema when 'data' then ':data'::regnamespace else ':own'::regnamespace end;

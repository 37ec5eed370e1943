-- What an adoption recorded is kept as long as there is any: it says how to restore the replaced
-- application's tables.
do $$
begin
    if exists (select from :own.adoption_steps) then
        return;
    end if;
    drop table :own.adoption_steps, :own.adoption_changes, :own.merged_rows, :own.adopted_values,
               :own.adopted_pages, :own.adopted_conversations;
    delete from :own.owned_objects
    where in_schema = 'own' and kind = 'table'
      and name in ('adoption_steps', 'adoption_changes', 'merged_rows', 'adopted_values',
                   'adopted_pages', 'adopted_conversations');
end
$$;

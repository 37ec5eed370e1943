drop table :own.recorded_definitions;
delete from :own.owned_objects
where in_schema = 'own' and kind = 'table' and name = 'recorded_definitions';

drop table :own.role_grants;
delete from :own.owned_objects where in_schema = 'own' and kind = 'table' and name = 'role_grants';

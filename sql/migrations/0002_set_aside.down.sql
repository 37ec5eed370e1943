delete from :own.owned_objects where in_schema = 'own' and kind = 'table' and name = 'freed_leases';
drop table :own.freed_leases;
alter table :data.sync_state drop column parked_at;

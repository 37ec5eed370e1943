-- What messenger-pipeline made, by its record.
select in_schema, kind, name from :own.owned_objects where kind <> 'schema'

-- The revision of our schema.
select version_num from :own.messenger_schema_version

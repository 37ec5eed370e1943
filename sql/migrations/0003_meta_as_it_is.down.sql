alter table :own.messenger_threads drop column attempts;

-- A thread that is requested alone, of a page whose list Meta refuses, can end its process.
alter table :own.messenger_threads add column attempts integer not null default 0;
comment on column :own.messenger_threads.attempts is
    'How often it was requested alone since it was last loaded or set aside.';

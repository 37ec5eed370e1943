alter table :own.page_tokens add column if not exists adopted_digest text;
comment on column :own.page_tokens.adopted_digest is
    'Of the token in the replaced application''s registry that this was taken over from: another one is newer. NULL: it came by `pages add`.';

-- A world of any size. One page in ten messages has a second that it shares with the one before.
insert into source_pages
select n, (100000000000000 + n)::text, 'Page ' || n, 'EAAold' || md5('token ' || n)
from generate_series(1, :pages) n;

insert into source_contacts
select n, 1 + n % :pages, (6000000000000000 + n)::text,
       case when n % 33 <> 0 then 'Contact ' || n end
from generate_series(1, :conversations) n;

insert into source_messages
select n, 1 + (n - 1) * :conversations / :events, 'm_' || md5('message ' || n),
       timestamptz '2023-01-01 00:00:00+00'
           + (n - case when n % 10 = 0 then 1 else 0 end) * interval '61 seconds',
       n / 3 % 2 = 1,
       case when n % 17 <> 0 then 'Message ' || n else '' end
from generate_series(1, :events) n;

"""Clones of databases, and queries that do not belong to a run."""

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg

from messenger_pipeline.db.embedded import database_url
from tests.crash.worlds import REFUSED_TEXT

_numbers = itertools.count(1)
_one_at_a_time = threading.Lock()

# Triggers number the statements of a load, before and after each. The statement with the wanted
# number waits for the advisory lock of the test. A rollback does not reset the sequence.
STOPS = f"""
set search_path = public, messenger_pipeline;
create sequence crash_firings;
create table crash_wanted (number bigint);
create function crash_stop() returns trigger language plpgsql as $$
begin
    if nextval('public.crash_firings') = (select number from public.crash_wanted) then
        perform pg_advisory_xact_lock_shared(1);
    end if;
    return null;
end
$$;
do $$
declare
    t text;
begin
    foreach t in array array[
        'facebook_pages', 'sync_locks', 'sync_state', 'messenger_conversations',
        'contact_interaction_events', 'messenger_threads', 'thread_gaps', 'quarantined_records']
    loop
        execute format('create trigger crash_before before insert or update or delete on %I
                        for each statement execute function crash_stop()', t);
        execute format('create trigger crash_after after insert or update or delete on %I
                        for each statement execute function crash_stop()', t);
    end loop;
end
$$;
alter table contact_interaction_events
    add constraint crash_refused check (metadata ->> 'text' is distinct from '{REFUSED_TEXT}');
"""


@contextlib.contextmanager
def cloned(server: str, template: str) -> Iterator[str]:
    """A copy of a database, dropped at the end."""
    url = clone(server, template)
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name_of(url)} with (force)")


def clone(server: str, template: str) -> str:
    name = f"crash_{os.getpid()}_{next(_numbers)}"
    # PostgreSQL copies a template for one session at a time.
    with _one_at_a_time, psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
    return database_url(server, name)


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


def query(url: str, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, on a connection of its own that finds tables of both schemas."""
    path = "-c search_path=public,messenger_pipeline"
    with psycopg.connect(url, autocommit=True, options=path) as connection:
        cursor = connection.execute(statement, arguments or None)
        return cursor.fetchall() if cursor.description else []

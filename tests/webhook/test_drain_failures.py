"""Whatever goes wrong with one delivery or item, the drain applies the others."""

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.quarantine import list_quarantined
from messenger_pipeline.errors import DatabaseError, DatabaseUnavailable
from messenger_pipeline.quarantine import replay
from messenger_pipeline.webhook import batch, items, payloads, rows
from messenger_pipeline.webhook.claims import return_claims
from messenger_pipeline.webhook.drain import DrainResult, drain_batch, drain_deliveries
from messenger_pipeline.webhook.outcome import ATTEMPTS
from tests.db.test_load import query
from tests.webhook.bodies import PAGE, body, item, text
from tests.webhook.test_drain import deliver, messages, page, register, retry_now

__all__ = ["page"]  # a fixture

BAD = "bad"
"""A message with this text makes the patched functions fail."""

Fail = Callable[[type[BaseException]], None]


class PanicException(BaseException):
    """As the parser's, which is written in Rust: its name is all that identifies it."""


ERRORS = [AssertionError, RecursionError, MemoryError, KeyError, UnicodeError]


def texts(database: Database) -> list[str]:
    return [row[2] for row in messages(database)]


def drain_to_the_end(database: Database) -> DrainResult:
    """Drain as often as anything is retried. Returns the figures of all of it."""
    total = DrainResult()
    for _ in range(ATTEMPTS + 1):
        total.add(retry_now(database))
    return total


def states(database: Database) -> list[str]:
    found = query(database, "select state from webhook_inbox order by id")
    return [state for (state,) in found]


def claims(database: Database) -> list[Any]:
    return query(database, "select deliveries from webhook_claims order by id")


def contains_bad(value: Any) -> bool:
    return BAD in json.dumps(value, default=str)


@pytest.fixture
def fail_parsing(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Makes the parsing of an item with a bad text raise."""
    parse = payloads.parse_events

    def order(error: type[BaseException]) -> None:
        def failing(item: Any) -> Any:
            if contains_bad(item.payload):
                raise error("a customer's words")
            return parse(item)

        monkeypatch.setattr(items, "parse_events", failing)

    return order


@pytest.fixture
def fail_shaping(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Makes the conversation of a bad event raise when it is prepared for the load."""
    shape = rows.conversation_row

    def order(error: type[BaseException]) -> None:
        def failing(contact_id: str, times: Any, events: Any) -> Any:
            if contains_bad(events):
                raise error("a customer's words")
            return shape(contact_id, times, events)

        monkeypatch.setattr(batch, "conversation_row", failing)

    return order


@pytest.fixture
def fail_loading(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Makes the load of a bad event raise, after it was sent to the database."""
    load = inbox.load_events

    def order(error: type[BaseException]) -> None:
        def failing(connection: Any, pages: Any, received: Any) -> Any:
            loaded = load(connection, pages, received)
            if contains_bad(pages):
                raise error("a customer's words")
            return loaded

        monkeypatch.setattr(inbox, "load_events", failing)

    return order


def test_an_item_without_an_event_does_not_stop_another_contacts_message(page: Database) -> None:
    """The first item of the page's delivery holds nothing at all."""
    [settled] = deliver(
        page, body(item(1, sender="9"), text(2, "m1", "hi", sender="10")), b"not JSON"
    )[:1]
    assert settled.state == "done"
    assert texts(page) == ["hi"]


@pytest.mark.parametrize("where", ["fail_shaping", "fail_loading"])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_one_item_sets_that_item_aside_and_nothing_else(
    page: Database, request: pytest.FixtureRequest, where: str, error: type[BaseException]
) -> None:
    request.getfixturevalue(where)(error)
    inbox.receive(
        page,
        [
            body(text(1, "m1", "first", sender="21")),
            body(text(2, "m2", "beside", sender="22"), text(3, "m3", BAD, sender="23")),
            body(text(4, "m4", "last", sender="24")),
        ],
    )
    drained = drain_batch(page)
    assert (drained.deliveries, drained.states) == (3, {"done": 2, "retry": 1})
    assert texts(page) == ["first", "beside", "last"], "applied at once, not after the retries"
    total = drain_to_the_end(page)
    assert states(page) == ["done", "failed", "done"]
    assert (total.states["retry"], total.quarantined) == (ATTEMPTS - 2, 1)
    [record] = list_quarantined(page)
    assert (record.kind, record.page_id) == ("item", PAGE)
    assert error.__name__ in record.reason
    assert "customer" not in record.reason, "the text of a foreign error may quote anything"
    assert claims(page) == []


@pytest.mark.parametrize("error", [AssertionError, RecursionError, KeyError])
def test_an_item_that_cannot_be_parsed_is_set_aside_and_can_be_replayed(
    page: Database, fail_parsing: Fail, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_parsing(error)
    [settled] = deliver(page, body(text(1, "m1", "a"), text(2, "m2", BAD, sender="23")))
    assert settled.state == "failed"
    assert [one["outcome"] for one in settled.outcomes or []] == ["applied", "quarantined"]
    assert texts(page) == ["a"]
    [record] = list_quarantined(page)
    assert replay(page, record) is not None, "it still cannot be parsed"
    monkeypatch.undo()
    assert replay(page, record) is None
    assert texts(page) == ["a", BAD]


@pytest.mark.parametrize("error", [MemoryError, PanicException])
def test_a_delivery_whose_parsing_fails_as_a_whole_is_retried_then_set_aside(
    page: Database, fail_parsing: Fail, error: type[BaseException]
) -> None:
    """Memory may be there next time, so such an error sets nothing aside at once."""
    fail_parsing(error)
    inbox.receive(page, [body(text(1, "m1", BAD)), body(text(2, "m2", "good"))])
    assert drain_batch(page).states == {"retry": 1, "done": 1}
    drain_to_the_end(page)
    assert states(page) == ["failed", "done"]
    assert texts(page) == ["good"]
    [record] = list_quarantined(page)
    assert (record.kind, record.record) == ("delivery", {"delivery": 1})
    assert error.__name__ in record.reason


def test_an_interrupt_ends_the_drain_and_leaves_no_claim(
    page: Database, fail_loading: Fail
) -> None:
    fail_loading(KeyboardInterrupt)
    inbox.receive(page, [body(text(1, "m1", BAD))])
    with pytest.raises(KeyboardInterrupt):
        drain_batch(page)
    assert (states(page), claims(page)) == (["pending"], [])


def trigger(database: Database, table: str, when: str, raised: str, timing: str = "before") -> None:
    deferred = " deferrable initially deferred" if timing.startswith("constraint") else ""
    timing, kind = timing.removeprefix("constraint "), "constraint " if deferred else ""
    with database.transaction() as connection:
        connection.execute(
            f"create function fail() returns trigger language plpgsql as $$ begin"
            f" if {when} then {raised}; end if; return new; end $$;"
            f"create {kind}trigger fail {timing} insert on {table}{deferred}"
            " for each row execute function fail()".encode()
        )


def test_a_body_that_postgresql_cannot_read_is_set_aside_and_the_others_are_applied(
    page: Database,
) -> None:
    long = "".join(random.Random(1).choices("0123456789abcdef", k=20_000))  # stored out of line
    good = [body(text(n, f"m{n}", f"t{n}", sender=str(30 + n))) for n in (1, 2)]
    [_, damaged, _] = inbox.receive(page, [good[0], body(text(9, "m9", long)), good[1]])
    with page.transaction() as connection:
        # An empty index in place of the one of the bodies that are stored out of line.
        connection.execute(b"set local allow_system_table_mods = on")
        connection.execute(b"create table empty (body bytea)")
        connection.execute(
            b"update pg_class c set relfilenode = e.relfilenode from pg_index i, pg_class e"
            b" join pg_index x on x.indexrelid = e.oid where i.indexrelid = c.oid"
            b" and i.indrelid = (select reltoastrelid from pg_class"
            b" where oid = 'webhook_inbox'::regclass) and x.indrelid ="
            b" (select reltoastrelid from pg_class where oid = 'empty'::regclass)"
        )
    result = drain_batch(page)
    assert (result.deliveries, result.states) == (1, {"failed": 1})
    drain_to_the_end(page)
    assert texts(page) == ["t1", "t2"]
    assert states(page) == ["done", "failed", "done"]
    [record] = list_quarantined(page)
    assert record.record == {"delivery": damaged}
    assert record.reason.startswith("PostgreSQL cannot read its body: XX001")
    for ids in inbox.reopen(page, ids=[damaged]):
        assert [one.state for one in drain_deliveries(page, ids)] == ["failed"]


@pytest.mark.parametrize(
    ("raised", "timing"),
    [
        ("raise exception 'no' using errcode = '42501'", "before"),  # a revoked privilege
        ("perform a_function_that_is_not_there()", "before"),
        ("raise exception 'no' using errcode = '40001'", "before"),  # a conflict, each time
        ("raise exception 'no' using errcode = '57014'", "before"),  # a statement's time-out
        ("raise exception 'no' using errcode = '53200'", "before"),  # out of memory
        ("raise exception 'no' using errcode = '23514'", "constraint after"),  # at commit
    ],
)
def test_what_the_database_refuses_of_one_item_is_retried_forever_beside_the_rest(
    page: Database, raised: str, timing: str
) -> None:
    trigger(
        page, "contact_interaction_events", f"new.metadata ->> 'text' = '{BAD}'", raised, timing
    )
    inbox.receive(
        page,
        [
            body(text(1, "m1", "first", sender="21")),
            body(text(2, "m2", BAD, sender="23")),
            body(text(4, "m4", "last", sender="24")),
        ],
    )
    assert drain_batch(page).states == {"done": 2, "retry": 1}
    drain_to_the_end(page)
    assert states(page) == ["done", "pending", "done"]
    assert texts(page) == ["first", "last"]
    [alert] = query(page, "select kind, summary from find_webhook_conditions()")
    assert alert[0] == "deliveries_refused"
    assert "1 webhook delivery was refused" in alert[1]
    with page.transaction() as connection:
        connection.execute("drop trigger fail on contact_interaction_events")
    assert retry_now(page).states == {"done": 1}
    assert texts(page) == ["first", BAD, "last"]


def test_an_item_that_the_database_refuses_leaves_its_neighbours_applied(page: Database) -> None:
    trigger(
        page,
        "contact_interaction_events",
        f"new.metadata ->> 'text' = '{BAD}'",
        "raise exception 'no' using errcode = '42501'",
    )
    many = [text(n, f"m{n}", f"t{n}", sender=str(30 + n)) for n in range(20)]
    many[7] = text(7, "m7", BAD, sender="37")
    inbox.receive(page, [body(*many)])
    assert drain_batch(page).states == {"retry": 1}
    assert texts(page) == [f"t{n}" for n in range(20) if n != 7]
    [settled] = inbox.get_deliveries(page, [1])
    outcomes = [one["outcome"] for one in settled.outcomes or []]
    assert (outcomes.count("applied"), outcomes[7]) == (19, "retry")


def test_a_delivery_that_takes_its_connection_down_is_put_off(page: Database, url: str) -> None:
    """As a backend that runs out of memory does; the server is back at once."""
    trigger(
        page,
        "contact_interaction_events",
        f"new.metadata ->> 'text' = '{BAD}'",
        "perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5)",
    )
    inbox.receive(page, [body(text(1, "m1", BAD)), body(text(2, "m2", "good", sender="21"))])
    assert drain_batch(page).states == {"retry": 1, "done": 1}
    assert texts(page) == ["good"]
    [settled] = inbox.get_deliveries(page, [1])
    assert "terminating connection" in (settled.last_error or "")
    assert claims(page) == []


def test_an_outage_during_a_batch_counts_against_no_delivery(page: Database, url: str) -> None:
    """The claim is returned once the database is back."""
    inbox.receive(page, [body(text(1, "m1", "a")), body(text(2, "m2", "b"))])
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    trigger(page, "contact_interaction_events", "true", "perform pg_sleep(60)")
    with Database(url, timeout=1) as own, psycopg.connect(url, dbname="postgres") as admin:
        admin.autocommit = True

        def shut_down() -> None:
            sleeping = "from pg_stat_activity where datname = %s and wait_event = 'PgSleep'"
            while not admin.execute(f"select {sleeping}".encode(), [name]).fetchall():
                pass
            admin.execute(f"alter database {name} allow_connections false".encode())
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
            )

        thread = threading.Thread(target=shut_down)
        thread.start()
        with pytest.raises(DatabaseUnavailable):
            drain_batch(own)
        thread.join()
        admin.execute(f"alter database {name} allow_connections true".encode())
        return_claims(own)
    with Database(url, timeout=5) as own:
        assert claims(own) == []
        assert query(own, "select attempts, state from webhook_inbox") == [(0, "pending")] * 2
        with own.transaction() as connection:
            connection.execute("drop trigger fail on contact_interaction_events")
        assert drain_batch(own).states == {"done": 2}


def test_the_body_of_the_case_is_applied(page: Database) -> None:
    case = Path(__file__).parent / "case_item_without_event.json"
    register(page, "100000000000001")
    [settled] = deliver(page, case.read_bytes())
    assert settled.state == "done"
    assert [one["outcome"] for one in settled.outcomes or []] == ["ignored", "applied"]


def test_an_envelope_with_a_key_named_delivery_does_not_break_replays(page: Database) -> None:
    [bad, good] = inbox.receive(page, [b'[{"delivery": "x"}]', body(text(1, "m1", "a"))])
    drain_batch(page)
    assert inbox.resolve_replayed(page, [bad, good]) == 0
    [record] = list_quarantined(page)
    assert record.record["delivery"] == bad
    assert record.record["item"] == {"delivery": "x"}


def test_a_delivery_whose_row_cannot_be_updated_does_not_stop_the_others(page: Database) -> None:
    """It cannot even be put off, so it is met at every drain."""
    with page.transaction() as connection:
        connection.execute(
            "create function stuck() returns trigger language plpgsql as $$ begin"
            " if new.id = 1 then raise exception 'stuck'; end if; return new; end $$;"
            "create trigger stuck before update on webhook_inbox"
            " for each row execute function stuck()"
        )
    for number in range(3):
        inbox.receive(
            page, [body(text(number, f"m{number}", f"t{number}", sender=str(30 + number)))]
        )
        if number:
            assert drain_batch(page).states == {"done": 1}
    assert texts(page) == ["t1", "t2"]
    with pytest.raises(DatabaseError, match="stuck"):
        drain_batch(page)
    assert claims(page) == []


def test_an_orderly_end_of_many_processes_counts_against_no_delivery(
    page: Database, url: str, fail_loading: Fail
) -> None:
    inbox.receive(page, [body(text(1, "m1", BAD))])
    fail_loading(SystemExit)
    for _ in range(5):
        with Database(url, timeout=5) as own, pytest.raises(SystemExit):
            drain_batch(own)
    assert claims(page) == []
    assert states(page) == ["pending"]

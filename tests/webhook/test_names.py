"""Name look-ups: an error of one contact says nothing of the next one's."""

import json
import logging
import sys
import threading
from typing import Any

import pytest
import stamina

from graph_simulator.profiles import is_withheld
from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.logs import json_lines
from messenger_pipeline.webhook import names
from messenger_pipeline.webhook.drain import drain_deliveries
from messenger_pipeline.webhook.names import find_names
from tests.conftest import Simulated
from tests.db.test_load import query
from tests.walking import Connect, Simulate
from tests.webhook.bodies import body, item


@pytest.fixture(autouse=True)
def _retry_at_once() -> Any:
    with stamina.set_testing(True, attempts=1, cap=True):
        yield


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=30, pages=2)


@pytest.fixture
def engine(connect: Connect, simulated: Simulated) -> Engine:
    return connect(simulated)


def new_contacts(
    engine: Engine, simulated: Simulated, count: int, page: int = 0
) -> list[tuple[str, str]]:
    """Contacts with a conversation and without a name, for whom Meta has one."""
    own = simulated.pages[page]
    ids = [simulated.world.contact(own, number)["id"] for number in range(len(own.lengths))]
    found = [one for one in ids if not is_withheld(one)][:count]
    bodies = [
        body(item(1, sender=one, page=own.id, message={"mid": one, "text": "hi"}), page=own.id)
        for one in found
    ]
    drain_deliveries(engine.database, inbox.receive(engine.database, bodies))
    return [(own.id, one) for one in found]


def named(database: Database) -> set[str]:
    found = query(
        database, "select sender_id from messenger_conversations where sender_name is not null"
    )
    return {sender for (sender,) in found}


@pytest.mark.parametrize("fault", ["permission_missing", "token_expired", "bad_proof", "http_500"])
def test_a_refused_profile_does_not_stop_the_next_ones(
    engine: Engine, simulated: Simulated, fault: str
) -> None:
    contacts = new_contacts(engine, simulated, 4)
    simulated.fault(fault, edge="profile", times=1)
    find_names(engine, contacts, threading.Event())
    assert simulated.hits(fault) == 1
    assert named(engine.database) == {contact for _, contact in contacts[1:]}


def test_three_refusals_in_a_row_stop_the_page_and_no_other(
    engine: Engine, simulated: Simulated
) -> None:
    contacts = new_contacts(engine, simulated, 6)
    others = new_contacts(engine, simulated, 2, page=1)
    simulated.fault("permission_missing", edge="profile", page=simulated.page.id)
    find_names(engine, contacts + others, threading.Event())
    assert simulated.hits("permission_missing") == 3
    assert named(engine.database) == {contact for _, contact in others}


def test_refusals_that_are_not_in_a_row_stop_nothing(engine: Engine, simulated: Simulated) -> None:
    contacts = new_contacts(engine, simulated, 8)
    for after in (0, 1, 3, 4):
        simulated.fault("permission_missing", edge="profile", after=after, times=1)
    find_names(engine, contacts, threading.Event())
    assert len(named(engine.database)) == 8 - simulated.hits("permission_missing")


def test_the_lines_of_a_look_up_name_its_page(
    engine: Engine, simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    [(page_id, contact)] = new_contacts(engine, simulated, 1)
    simulated.fault("http_500", times=1)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_lines("test"))
    log = logging.getLogger("messenger_pipeline")
    log.addHandler(handler)
    try:
        with stamina.set_testing(True, attempts=2, cap=True):
            find_names(engine, [(page_id, contact)], threading.Event())
    finally:
        log.removeHandler(handler)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [retried] = [line for line in lines if "retrying" in line["event"]]
    assert retried["page_id"] == page_id


def test_a_limit_stops_the_page_at_once(engine: Engine, simulated: Simulated) -> None:
    contacts = new_contacts(engine, simulated, 4)
    simulated.fault("page_limit", edge="profile", seconds=300)
    find_names(engine, contacts, threading.Event())
    assert simulated.hits("page_limit") == 1
    assert simulated.violations() == 0
    assert named(engine.database) == set()


@pytest.mark.parametrize("error", [AssertionError, MemoryError, KeyError])
def test_an_error_that_nobody_foresaw_concerns_one_contact(
    engine: Engine, simulated: Simulated, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    contacts = new_contacts(engine, simulated, 3)
    find, failed = names.find_name, list[str]()

    def failing(engine: Engine, page_id: str, contact_id: str, stop: threading.Event) -> None:
        if not failed:
            failed.append(contact_id)
            raise error
        find(engine, page_id, contact_id, stop)

    monkeypatch.setattr(names, "find_name", failing)
    finder = names.NameFinder(engine)
    finder.start()
    finder.add(contacts)
    finder.close()
    assert named(engine.database) == {contact for _, contact in contacts[1:]}

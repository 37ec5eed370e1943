"""Full syncs of a page while webhooks tell what happens on it: repeated, late, received by a real
receiver and applied by several drains at once."""

import random
import threading
from collections import Counter

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.engine import Engine
from messenger_pipeline.graph.client import GraphApi
from messenger_pipeline.sync.run import SyncResult
from messenger_pipeline.vault import TokenVault
from messenger_pipeline.webhook.drain import drain_batch
from tests.conftest import Simulated, register
from tests.convergence.asking import asked, conversation_facts, event_facts, findings
from tests.convergence.effort import EFFORT
from tests.crash.receiver import KEY, SECRET, draining, environment, receiving
from tests.crash.senders import settle
from tests.graph_simulator.living import order, told
from tests.graph_simulator.receiving import wait_until
from tests.happened import difference
from tests.walking import Simulate, walk

THINGS = 600 * EFFORT
PER_SECOND = 120
LATENCY = 0.05  # seconds of each call: a walk takes as long as many deliveries


def test_syncs_and_webhooks_of_one_page_at_once_end_in_the_truth_and_in_that_of_another_order(
    url: str, database: Database, second: Database, simulate: Simulate
) -> None:
    simulated = simulate(conversations=60, latency=LATENCY, app_secret=SECRET)
    engine = connected(database, simulated)
    theirs, walks = environment(url, simulated.url), 0
    with receiving(theirs) as receiver, draining(theirs):
        order(
            simulated,
            per_second=PER_SECOND, webhook_url=receiver.url, repeats=0.3, disorder=0.3,
        )  # fmt: skip
        while told(simulated)["happened"] < THINGS:
            assert full(engine).outcome == "completed"
            walks += 1
        order(simulated, per_second=0)
        wait_until(lambda: told(simulated)["waiting"] == 0)
        settle(url)
    assert walks > 1
    assert full(engine).outcome == "completed"
    assert faults(database, simulated) == []

    again(second, simulated, [bytes(body) for (body,) in asked(database, BODIES)])
    assert faults(second, simulated) == []
    assert event_facts(second) == event_facts(database)
    assert without_names(second) == without_names(database)


BODIES = "select body from webhook_inbox"


def connected(database: Database, simulated: Simulated) -> Engine:
    vault = TokenVault([KEY])
    register(database, vault, simulated)
    return Engine(database, GraphApi(simulated.url, "v26.0", SECRET), vault, 10_000)


def full(engine: Engine) -> SyncResult:
    [page_id] = [
        row[0] for row in asked(engine.database, "select facebook_page_id from facebook_pages")
    ]
    return walk(engine, page_id, mode="full")


def again(database: Database, simulated: Simulated, bodies: list[bytes]) -> None:
    """Each delivery twice, shuffled, by four drains, while the page is walked."""
    engine, done = connected(database, simulated), threading.Event()
    failures: list[BaseException] = []

    def drain() -> None:
        try:
            while not done.is_set() or inbox.waiting(database).deliveries:
                drain_batch(database, limit=7)
        except BaseException as error:
            failures.append(error)
            raise

    bodies = random.Random(1).sample(bodies * 2, k=2 * len(bodies))
    drains = [threading.Thread(target=drain) for _ in range(4)]
    walking = threading.Thread(target=full, args=(engine,))
    for thread in (walking, *drains):
        thread.start()
    for at in range(0, len(bodies), 20):
        inbox.receive(database, bodies[at : at + 20])
    walking.join()
    done.set()
    for thread in drains:
        thread.join()
    assert failures == []
    full(engine)


def without_names(database: Database) -> list[tuple[object, ...]]:
    return [(row[0], *row[2:]) for row in conversation_facts(database)]


def faults(database: Database, simulated: Simulated) -> list[str]:
    """In what the stored rows are not what happened, live and before."""
    page, world = simulated.page, simulated.world
    found = difference(database, world)
    found += [f"{name}: {why}" for name, why in findings(database).items()]
    past = {row["message_id"] for row in world.truth(page)} - page.exact.keys()
    stored = Counter(
        message_id
        for (message_id,) in asked(
            database,
            "select message_id from contact_interaction_events"
            " where split_part(event_type, '_', 1) = 'message'",
        )
        if message_id not in page.exact
    )
    if stored != Counter(past):
        found.append(f"of the past missing {past - stored.keys()}, or twice")
    told_names = {row[0]: row[1] for row in conversation_facts(database)}
    for number in range(len(page.lengths)):
        contact = world.contact(page, number)
        # A contact who took all back is listed with nothing: a walk learns no name.
        nameless = (None,) if page.length(number) == 0 else ()
        if told_names.pop(contact["id"], "") not in (contact["name"], *nameless):
            found.append(f"the name of {contact} is another")
    if told_names:
        found.append(f"nobody is {told_names}")
    states = asked(database, "select distinct state from webhook_inbox")
    if states != [("done",)]:
        found.append(f"deliveries are {states}")
    return found

"""Full syncs of a page while a real receiver gets its webhooks, repeated and late, and several
drains apply them."""

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
from tests.activity import activity_differences
from tests.conftest import Simulated, register
from tests.convergence.example_counts import SCALE
from tests.convergence.sql_calls import conversation_facts, event_facts, failed_checks, query
from tests.crash.receiver import KEY, SECRET, environment, running_drain, running_receiver
from tests.crash.webhook_senders import wait_until_drained
from tests.graph_simulator.live.control import configure, status
from tests.graph_simulator.webhook_sink import wait_until
from tests.walking import Simulate, walk

EVENTS = 600 * SCALE
PER_SECOND = 120
LATENCY = 0.05  # seconds per call: many deliveries arrive during a walk


def test_concurrent_syncs_and_webhooks_of_a_page_give_the_truth_in_any_order(
    url: str, database: Database, second: Database, simulate: Simulate
) -> None:
    simulated = simulate(conversations=60, latency=LATENCY, app_secret=SECRET)
    engine = connected(database, simulated)
    settings, walks = environment(url, simulated.url), 0
    with running_receiver(settings) as receiver, running_drain(settings):
        configure(
            simulated,
            per_second=PER_SECOND, webhook_url=receiver.url, repeats=0.3, delays=0.3,
        )  # fmt: skip
        while status(simulated)["events"] < EVENTS:
            assert full_sync(engine).outcome == "completed"
            walks += 1
        configure(simulated, per_second=0)
        wait_until(lambda: status(simulated)["pending"] == 0)
        wait_until_drained(url)
    assert walks > 1
    assert full_sync(engine).outcome == "completed"
    assert differences(database, simulated) == []

    apply_in_another_order(second, simulated, [bytes(body) for (body,) in query(database, BODIES)])
    assert differences(second, simulated) == []
    assert event_facts(second) == event_facts(database)
    assert without_names(second) == without_names(database)


BODIES = "select body from webhook_inbox"


def connected(database: Database, simulated: Simulated) -> Engine:
    vault = TokenVault([KEY])
    register(database, vault, simulated)
    return Engine(database, GraphApi(simulated.url, "v26.0", SECRET), vault, 10_000)


def full_sync(engine: Engine) -> SyncResult:
    [page_id] = [
        row[0] for row in query(engine.database, "select facebook_page_id from facebook_pages")
    ]
    return walk(engine, page_id, mode="full")


def apply_in_another_order(database: Database, simulated: Simulated, bodies: list[bytes]) -> None:
    """Apply each delivery twice, shuffled, by four drains, during a walk of the page."""
    engine, done = connected(database, simulated), threading.Event()
    failures: list[BaseException] = []

    def drain() -> None:
        try:
            while not done.is_set() or inbox.count_due(database).deliveries:
                drain_batch(database, limit=7)
        except BaseException as error:
            failures.append(error)
            raise

    bodies = random.Random(1).sample(bodies * 2, k=2 * len(bodies))
    drains = [threading.Thread(target=drain) for _ in range(4)]
    walking = threading.Thread(target=full_sync, args=(engine,))
    for thread in (walking, *drains):
        thread.start()
    for at in range(0, len(bodies), 20):
        inbox.receive(database, bodies[at : at + 20])
    walking.join()
    done.set()
    for thread in drains:
        thread.join()
    assert failures == []
    full_sync(engine)


def without_names(database: Database) -> list[tuple[object, ...]]:
    return [(row[0], *row[2:]) for row in conversation_facts(database)]


def differences(database: Database, simulated: Simulated) -> list[str]:
    """How the stored rows differ from the live activity and from the seeded history."""
    page, world = simulated.page, simulated.world
    found = activity_differences(database, world)
    found += [f"{name}: {why}" for name, why in failed_checks(database).items()]
    seeded = {row["message_id"] for row in world.truth(page)} - page.live_times.keys()
    stored = Counter(
        message_id
        for (message_id,) in query(
            database,
            "select message_id from contact_interaction_events"
            " where split_part(event_type, '_', 1) = 'message'",
        )
        if message_id not in page.live_times
    )
    if stored != Counter(seeded):
        found.append(f"seeded messages missing, or stored twice: {seeded - stored.keys()}")
    names = {row[0]: row[1] for row in conversation_facts(database)}
    for number in range(len(page.lengths)):
        contact = world.contact(page, number)
        # A contact whose messages are all unsent is listed without any: a walk finds no name.
        nameless = (None,) if page.length(number) == 0 else ()
        if names.pop(contact["id"], "") not in (contact["name"], *nameless):
            found.append(f"wrong name for {contact}")
    if names:
        found.append(f"unknown contacts: {names}")
    states = query(database, "select distinct state from webhook_inbox")
    if states != [("done",)]:
        found.append(f"states of deliveries: {states}")
    return found

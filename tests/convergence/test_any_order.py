"""The same writes in two orders, with repeats and failures, give two databases the same rows: the
rows of the pure merge rules."""

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from messenger_pipeline.db.pool import Database
from messenger_pipeline.merge import dedupe_conversations
from messenger_pipeline.sync.plan import Page, parse_history, plan_threads
from tests.convergence import page_world, sql_calls
from tests.convergence.example_counts import examples
from tests.convergence.expected_rows import ExpectedRows
from tests.convergence.sql_calls import PAGE, query
from tests.convergence.writes import Failure, Write, Writer, reordered

THREADS = st.sampled_from(sorted(page_world.THREADS))
CONTACT_OF = {thread_id: page_world.contact(thread_id) for thread_id in page_world.THREADS}
CONTACTS = [one for contacts in page_world.THREADS.values() for one in contacts]
FAILURES: st.SearchStrategy[Failure] = st.sampled_from(["none", "result_lost", "rolled_back"])
INTERVALS = st.sampled_from([1, 250, 1000, 2500])
EXTRAS = st.sampled_from([{}, {}, {"attachments": {"data": [{"id": "1"}]}}, {"sticker": "s"}])
NUMBERS = st.integers(0, 63)
OTHER_EVENTS = ("read", "delivery", "postback", "optin")
CHANGES = ("edit", "undo_edit", "edit_by_event", "attach", "share_post", "react", "unsend")
ACTIVITIES = st.sampled_from([*CHANGES, "send_without_id", "rename", *OTHER_EVENTS])


class TwoOrders(RuleBasedStateMachine):
    """Changes a world and writes its states to one database. At the end, makes the same writes in
    another order to a second database, and compares the two."""

    def __init__(self, first: Database, second: Database) -> None:
        super().__init__()
        self.second = second
        self.writer = Writer(first)
        self.world = page_world.World()
        self.writes: list[Write] = []
        self.ambiguous = False
        """Whether a message was reported for two contacts: the order decides which one owns it."""

    @initialize(seed=st.integers(0, 2**32))
    def populate(self, seed: int) -> None:
        self.seed = seed
        for thread_id, contacts in page_world.THREADS.items():
            for sender in (*contacts, PAGE):
                self.world.now += 400
                self.world.write(thread_id, sender, {})
            for contact_id in contacts:
                self.world.rename(contact_id)
        self.world.now += 1000

    # -- Activity -------------------------------------------------------------------------------

    @rule(activities=st.lists(st.tuples(ACTIVITIES, NUMBERS, INTERVALS), min_size=2, max_size=6))
    def act(self, activities: list[tuple[str, int, int]]) -> None:
        for kind, number, later in activities:
            self.world.now += later
            message = self._recent_message(number)
            if kind == "rename":
                self.world.rename(CONTACTS[number % len(CONTACTS)])
            elif kind in OTHER_EVENTS:
                self.world.add_event(message.owner, kind, message if number % 3 else None)
            elif kind == "send_without_id":
                self._send_without_id(message)
            elif (kind == "undo_edit" and self._has_edit(message)) or (
                kind == "edit_by_event" and self._text_returned(message)
            ):
                pass  # when a text that returned was first stated is not kept
            elif message.unsent_at is None:
                getattr(self.world, kind)(message)

    @rule(thread_id=THREADS, number=NUMBERS, extra=EXTRAS, later=INTERVALS)
    def send_message(
        self, thread_id: str, number: int, extra: page_world.Content, later: int
    ) -> None:
        senders = (*page_world.THREADS[thread_id], PAGE)
        self.world.now += later
        self.world.write(thread_id, senders[number % len(senders)], extra)

    # -- Writes ---------------------------------------------------------------------------------

    @rule(
        thread_ids=st.lists(THREADS, min_size=1, unique=True),
        ago=st.sampled_from([0, 0, 0, 1000, 3000, 10_000]),
        limit=st.integers(1, 8),
        without_senders=st.booleans(),
        failure=FAILURES,
    )
    def load_list(
        self, thread_ids: list[str], ago: int, limit: int, without_senders: bool, failure: Failure
    ) -> None:
        """Load a list response, complete or cut, of the present state or a past one."""
        self._load(thread_ids, self._second(ago), limit, without_senders, failure)

    @rule(thread_id=THREADS, start=st.integers(0, 4), ago=st.sampled_from([0, 2000]))
    def load_older_messages(self, thread_id: str, start: int, ago: int) -> None:
        """Load older messages of a thread, without contacts' names."""
        time = self._second(ago)
        if not self.world.is_listed(thread_id, time):
            return
        nested = self.world.thread_at(thread_id, time, 100, False)["messages"]
        assert nested is not None
        page, listed_at = Page(PAGE, "incremental_sync"), page_world.seconds(time)
        messages = (nested.get("data") or [])[start : start + 3]
        rows = parse_history(messages, CONTACT_OF[thread_id], page, listed_at)
        self._write(Write(listed_at, rows, [], after=self._marks({thread_id})), "none")

    @rule(numbers=st.lists(NUMBERS, min_size=2, max_size=6), failure=FAILURES)
    def upsert(self, numbers: list[int], failure: Failure) -> None:
        """Upsert webhook events, each in a call of its own, late or repeated ones too."""
        for number in numbers:
            event = self.world.webhook_events[-1 - number % len(self.world.webhook_events)]
            self._upsert(event, event.owner, failure)

    @rule(number=NUMBERS, failure=FAILURES)
    def upsert_for_another_contact(self, number: int, failure: Failure) -> None:
        shared = [one for one in self.world.webhook_events if one.owner in page_world.THREADS["t3"]]
        event = shared[number % len(shared)]
        if event.row["message_id"] is not None:
            self.ambiguous = True
            self._upsert(event, "22" if event.owner == "30" else "30", failure)

    @precondition(lambda self: any(one.gone is None for one in self.writes))
    @rule(number=NUMBERS)
    def repeat(self, number: int) -> None:
        """Make an earlier write again."""
        candidates = [one for one in self.writes if one.gone is None]
        self._write(candidates[number % len(candidates)], "none")

    @rule(
        thread_id=st.sampled_from(["t1", "t2"]),
        later=INTERVALS,
        failure=FAILURES,
        then=st.sampled_from(["nothing", "a late response", "an edit"]),
    )
    def mark_gone(self, thread_id: str, later: int, failure: Failure, then: str) -> None:
        """Mark a thread as gone, if it was listed since its last mark."""
        marks = [one.as_of for one in self.writes if one.gone == thread_id]
        listings = [
            number
            for number, one in enumerate(self.writes)
            if any(row["thread_id"] == thread_id for row in one.threads or [])
            and one.as_of > max(marks, default=sql_calls.at(-1))
        ]
        if not listings:
            return
        self.world.now += later
        self.world.delist(thread_id)
        required = self._marks({thread_id}) | {listings[0]}
        gone_at = page_world.seconds(self._second(0))
        self._write(Write(gone_at, gone=thread_id, after=required), failure)
        if then == "a late response":
            self._load([thread_id], self._second(0), 8, False, failure)
        elif then == "an edit":
            self.world.now += 1000
            message = next(one for one in self.world.messages if one.thread_id == thread_id)
            if message.unsent_at is None:
                self.world.edit(message)
                self._upsert(self.world.webhook_events[-1], message.owner, failure)

    # -- Comparison -----------------------------------------------------------------------------

    def teardown(self) -> None:
        if not self.writes:
            return
        chance = Random(self.seed)
        events = self.world.webhook_events
        for event in chance.sample(events, k=len(events) * chance.randint(0, 3) // 3):
            self._upsert(event, event.owner, "none")
        other = Writer(self.second)
        shuffled = reordered(self.writes, chance)
        for number, write in enumerate(shuffled):
            other.apply(write, "result_lost" if number % 7 == 0 else "none")
        for writer, writes in ((self.writer, self.writes), (other, shuffled)):
            _assert_expected(writer, ExpectedRows().apply(writes, CONTACT_OF))
        _assert_equal(self.writer.database, other.database, self.ambiguous)

    # -- Helpers --------------------------------------------------------------------------------

    def _has_edit(self, message: page_world.WrittenMessage) -> bool:
        edits = [e.row for e in self.world.webhook_events if e.row["event_type"] == "edit"]
        return any(row["message_id"] == f"mid.{message.number}" for row in edits)

    def _text_returned(self, message: page_world.WrittenMessage) -> bool:
        texts = [content.get("message") for _, content in message.versions]
        return texts[-1] in texts[:-1]

    def _send_without_id(self, message: page_world.WrittenMessage) -> None:
        # Who owns a message of the shared thread depends on the order.
        if message.thread_id != "t3":
            self.world.send_without_id(message)

    def _load(
        self, thread_ids: list[str], time: int, limit: int, without_senders: bool, failure: Failure
    ) -> None:
        listed = [one for one in thread_ids if self.world.is_listed(one, time)]
        if not listed:
            return
        threads = [self.world.thread_at(one, time, limit, without_senders) for one in listed]
        page, listed_at = Page(PAGE, "initial_sync"), page_world.seconds(time)
        plan = plan_threads(threads, {}, page, listed_at)
        marks = self._marks(set(listed))
        self._write(Write(listed_at, plan.conversations, plan.threads, after=marks), failure)

    def _upsert(self, event: page_world.WebhookEvent, owner: str, failure: Failure) -> None:
        as_of = sql_calls.at(event.time / 1000)
        rows = dedupe_conversations(
            [{"sender_id": owner, "sender_name": None, "as_of": as_of, "events": [event.row]}]
        )
        self._write(Write(as_of, rows), failure)
        if "unsent_at" in event.row["metadata"]:
            self.world.known_unsent.add(event.row["message_id"])

    def _write(self, write: Write, failure: Failure) -> None:
        self.writer.apply(write, failure)
        self.writes.append(write)

    def _recent_message(self, number: int) -> page_world.WrittenMessage:
        return self.world.messages[-1 - number % len(self.world.messages)]

    def _second(self, ago: int) -> int:
        return max(self.world.now - ago, 0) // 1000 * 1000

    def _marks(self, thread_ids: set[str]) -> frozenset[int]:
        """The marks of these threads so far. A walk cannot load a response before them."""
        return frozenset(n for n, one in enumerate(self.writes) if one.gone in thread_ids)


def _assert_expected(writer: Writer, expected: ExpectedRows) -> None:
    database, counts = writer.database, writer.counts
    assert sorted(sql_calls.event_facts(database), key=repr) == sorted(expected.events(), key=repr)
    assert sql_calls.conversation_facts(database) == expected.conversations()
    assert sql_calls.failed_checks(database) == {}
    [(marked,)] = query(database, "select deleted from sync_state")
    [(conversations, versions, events)] = query(
        database,
        "select count(*), coalesce(sum(version), 0),"
        " (select count(*) from contact_interaction_events)"
        " + (select count(*) from claimed_messages) from messenger_conversations",
    )
    assert events == counts["events"]
    # A conversation is deleted if all of its events move to the messages that they name.
    assert conversations <= counts["inserted"]
    if conversations == counts["inserted"]:
        assert versions == counts["updated"] + marked
    assert counts["refused"] == 0


def _assert_equal(first: Database, second: Database, ambiguous: bool) -> None:
    if not ambiguous:
        assert sql_calls.event_facts(first) == sql_calls.event_facts(second)
        assert sql_calls.conversation_facts(first) == sql_calls.conversation_facts(second)
        return
    shared = page_world.THREADS["t3"]

    def events(database: Database) -> list[object]:
        facts = sql_calls.event_facts(database)
        return sorted(((row[0] not in shared and row[0], *row[1:]) for row in facts), key=repr)

    def conversations(database: Database) -> list[object]:
        return [row for row in sql_calls.conversation_facts(database) if row[0] not in shared]

    assert events(first) == events(second)
    assert conversations(first) == conversations(second)


def test_the_same_facts_in_any_order_give_the_same_rows(
    database: Database, second: Database
) -> None:
    class Here(TwoOrders):
        def __init__(self) -> None:
            super().__init__(database, second)

    run_state_machine_as_test(Here, settings=examples(60, stateful_step_count=30))

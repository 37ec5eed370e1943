"""A page's world, told to two databases in two orders, with repetitions and lost calls: both end
in the same rows, and in those of the pure rules."""

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
from tests.convergence import asking, world
from tests.convergence.asking import PAGE, asked
from tests.convergence.effort import examples
from tests.convergence.expected import Expected
from tests.convergence.telling import Accident, Listener, Telling, reordered

THREADS = st.sampled_from(sorted(world.THREADS))
OF_THREAD = {thread_id: world.contact(thread_id) for thread_id in world.THREADS}
CONTACTS = [one for contacts in world.THREADS.values() for one in contacts]
ACCIDENTS: st.SearchStrategy[Accident] = st.sampled_from(["none", "answer lost", "rolled back"])
TIMES = st.sampled_from([1, 250, 1000, 2500])
BESIDE = st.sampled_from([{}, {}, {"attachments": {"data": [{"id": "1"}]}}, {"sticker": "s"}])
NUMBERS = st.integers(0, 63)
ELSE = ("read", "delivery", "postback", "optin")
HAPPENINGS = st.sampled_from(["edit", "edit", "react", "unsend", "rename", *ELSE])


class Telltale(RuleBasedStateMachine):
    """Things happen in the world, and are told of it; in the end both databases are compared."""

    def __init__(self, first: Database, second: Database) -> None:
        super().__init__()
        self.second = second
        self.listener = Listener(first)
        self.world = world.World()
        self.tellings: list[Telling] = []
        self.doubtful = False
        """Whether a message was told of two contacts: whose it is depends on the order."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.seed = seed
        for thread_id, contacts in world.THREADS.items():
            for writer in (*contacts, PAGE):
                self.world.now += 400
                self.world.write(thread_id, writer, {})
            for contact_id in contacts:
                self.world.rename(contact_id)
        self.world.now += 1000

    # -- What happens ---------------------------------------------------------------------------

    @rule(things=st.lists(st.tuples(HAPPENINGS, NUMBERS, TIMES), min_size=2, max_size=6))
    def happen(self, things: list[tuple[str, int, int]]) -> None:
        for what, number, later in things:
            self.world.now += later
            said = self._said(number)
            if what == "rename":
                self.world.rename(CONTACTS[number % len(CONTACTS)])
            elif what in ELSE:
                self.world.happen(said.owner, what, said if number % 3 else None)
            elif said.unsent_at is None:
                getattr(self.world, what)(said)

    @rule(thread_id=THREADS, number=NUMBERS, beside=BESIDE, later=TIMES)
    def write(self, thread_id: str, number: int, beside: world.Content, later: int) -> None:
        writers = (*world.THREADS[thread_id], PAGE)
        self.world.now += later
        self.world.write(thread_id, writers[number % len(writers)], beside)

    # -- What is told ---------------------------------------------------------------------------

    @rule(
        thread_ids=st.lists(THREADS, min_size=1, unique=True),
        ago=st.sampled_from([0, 0, 0, 1000, 3000, 10_000]),
        limit=st.integers(1, 8),
        blind=st.booleans(),
        accident=ACCIDENTS,
    )
    def answer(
        self, thread_ids: list[str], ago: int, limit: int, blind: bool, accident: Accident
    ) -> None:
        """Threads are listed, whole or by half, as they are or as they were."""
        self._answer(thread_ids, self._second(ago), limit, blind, accident)

    @rule(thread_id=THREADS, start=st.integers(0, 4), ago=st.sampled_from([0, 2000]))
    def older_messages(self, thread_id: str, start: int, ago: int) -> None:
        """More of a thread's history is read, without its names."""
        time = self._second(ago)
        if not self.world.is_listed(thread_id, time):
            return
        told = self.world.answer(thread_id, time, 100, False)["messages"]
        assert told is not None
        page, answered_at = Page(PAGE, "incremental_sync"), world.seconds(time)
        messages = (told.get("data") or [])[start : start + 3]
        rows = parse_history(messages, OF_THREAD[thread_id], page, answered_at)
        self._tell(Telling(answered_at, rows, [], after=self._marks({thread_id})), "none")

    @rule(numbers=st.lists(NUMBERS, min_size=2, max_size=6), accident=ACCIDENTS)
    def push(self, numbers: list[int], accident: Accident) -> None:
        """Webhooks tell of one event each, soon or late, once or again."""
        for number in numbers:
            one = self.world.pushed[-1 - number % len(self.world.pushed)]
            self._push(one, one.owner, accident)

    @rule(number=NUMBERS, accident=ACCIDENTS)
    def push_of_another_contact(self, number: int, accident: Accident) -> None:
        of_both = [one for one in self.world.pushed if one.owner in world.THREADS["t3"]]
        one = of_both[number % len(of_both)]
        if one.row["message_id"] is not None:
            self.doubtful = True
            self._push(one, "22" if one.owner == "30" else "30", accident)

    @precondition(lambda self: any(one.gone is None for one in self.tellings))
    @rule(number=NUMBERS)
    def tell_again(self, number: int) -> None:
        """An older call comes again, as a new one."""
        again = [one for one in self.tellings if one.gone is None]
        one = again[number % len(again)]
        self._tell(one, "none")

    @rule(
        thread_id=st.sampled_from(["t1", "t2"]),
        later=TIMES,
        accident=ACCIDENTS,
        then=st.sampled_from(["nothing", "a late answer", "an edit"]),
    )
    def vanish(self, thread_id: str, later: int, accident: Accident, then: str) -> None:
        """A thread that was listed since it last vanished is found to be gone."""
        marked = [one.as_of for one in self.tellings if one.gone == thread_id]
        witnesses = [
            number
            for number, one in enumerate(self.tellings)
            if any(row["thread_id"] == thread_id for row in one.threads or [])
            and one.as_of > max(marked, default=asking.at(-1))
        ]
        if not witnesses:
            return
        self.world.now += later
        self.world.vanish(thread_id)
        needed = self._marks({thread_id}) | {witnesses[0]}
        gone_at = world.seconds(self._second(0))
        self._tell(Telling(gone_at, gone=thread_id, after=needed), accident)
        if then == "a late answer":
            self._answer([thread_id], self._second(0), 8, False, accident)
        elif then == "an edit":
            self.world.now += 1000
            said = next(one for one in self.world.messages if one.thread_id == thread_id)
            if said.unsent_at is None:
                self.world.edit(said)
                self._push(self.world.pushed[-1], said.owner, accident)

    # -- What must be true ----------------------------------------------------------------------

    def teardown(self) -> None:
        if not self.tellings:
            return
        chance = Random(self.seed)
        for one in chance.sample(
            self.world.pushed, k=len(self.world.pushed) * chance.randint(0, 3) // 3
        ):
            self._push(one, one.owner, "none")
        other = Listener(self.second)
        shuffled = reordered(self.tellings, chance)
        for number, telling in enumerate(shuffled):
            other.hear(telling, "answer lost" if number % 7 == 0 else "none")
        for listener, order in ((self.listener, self.tellings), (other, shuffled)):
            _is_as_told(listener, Expected().hear(order, OF_THREAD))
        _are_alike(self.listener.database, other.database, self.doubtful)

    # -- Ways of telling ------------------------------------------------------------------------

    def _answer(
        self, thread_ids: list[str], time: int, limit: int, blind: bool, accident: Accident
    ) -> None:
        listed = [one for one in thread_ids if self.world.is_listed(one, time)]
        if not listed:
            return
        threads = [self.world.answer(one, time, limit, blind) for one in listed]
        page, answered_at = Page(PAGE, "initial_sync"), world.seconds(time)
        plan = plan_threads(threads, {}, page, answered_at)
        marks = self._marks(set(listed))
        self._tell(Telling(answered_at, plan.conversations, plan.threads, after=marks), accident)

    def _push(self, one: world.Pushed, owner: str, accident: Accident) -> None:
        told_at = asking.at(one.time / 1000)
        rows = dedupe_conversations(
            [{"sender_id": owner, "sender_name": None, "as_of": told_at, "events": [one.row]}]
        )
        self._tell(Telling(told_at, rows), accident)
        if "unsent_at" in one.row["metadata"]:
            self.world.known_unsent.add(one.row["message_id"])

    def _tell(self, telling: Telling, accident: Accident) -> None:
        self.listener.hear(telling, accident)
        self.tellings.append(telling)

    def _said(self, number: int) -> world.Said:
        return self.world.messages[-1 - number % len(self.world.messages)]

    def _second(self, ago: int) -> int:
        return max(self.world.now - ago, 0) // 1000 * 1000

    def _marks(self, thread_ids: set[str]) -> frozenset[int]:
        """A walk tells in order: its answer of a thread stands behind the marks before it."""
        return frozenset(n for n, one in enumerate(self.tellings) if one.gone in thread_ids)


def _is_as_told(listener: Listener, expected: Expected) -> None:
    database, done = listener.database, listener.done
    assert sorted(asking.event_facts(database), key=repr) == sorted(expected.events(), key=repr)
    assert asking.conversation_facts(database) == expected.conversations()
    assert asking.findings(database) == {}
    [(marked,)] = asked(database, "select deleted from sync_state")
    assert asked(
        database,
        "select count(*), sum(version), (select count(*) from contact_interaction_events)"
        " from messenger_conversations",
    ) == [(done["inserted"], done["updated"] + marked, done["events"])]
    assert done["refused"] == 0


def _are_alike(first: Database, second: Database, doubtful: bool) -> None:
    if not doubtful:
        assert asking.event_facts(first) == asking.event_facts(second)
        assert asking.conversation_facts(first) == asking.conversation_facts(second)
        return
    of_both = world.THREADS["t3"]

    def events(database: Database) -> list[object]:
        return sorted(
            ((row[0] not in of_both and row[0], *row[1:]) for row in asking.event_facts(database)),
            key=repr,
        )

    def conversations(database: Database) -> list[object]:
        return [row for row in asking.conversation_facts(database) if row[0] not in of_both]

    assert events(first) == events(second)
    assert conversations(first) == conversations(second)


def test_the_same_facts_in_any_order_end_in_the_same_rows(
    database: Database, second: Database
) -> None:
    class Here(Telltale):
        def __init__(self) -> None:
            super().__init__(database, second)

    run_state_machine_as_test(Here, settings=examples(60, stateful_step_count=30))

"""The replay server's responses, as the pipeline reads them."""

from bench.contestants.program import TOKEN
from bench.payloads import MESSAGES, make_thread
from bench.replay import Replay
from messenger_pipeline.graph.reading import parse_threads
from messenger_pipeline.sync.parse import messages_of

PAGE = "104000000000001"


def ask(threads: int, nested: int = MESSAGES, limit: int = 10, after: str = "0") -> bytes:
    query = {"fields": f"messages.limit({nested})", "limit": str(limit), "after": after}
    return Replay({PAGE: threads}).list_threads(PAGE, query)


def test_a_walk_returns_each_thread_once_with_all_its_messages() -> None:
    threads, after = [], "0"
    while after:
        listing = parse_threads(ask(25, after=after))
        assert not listing.rejects
        threads += listing.records
        after = listing.after or ""
    assert [thread["id"] for thread in threads] == [make_thread(PAGE, n)["id"] for n in range(25)]
    ids = {message["id"] for thread in threads for message in messages_of(thread)}
    assert len(ids) == 25 * MESSAGES


def test_nested_messages_have_a_next_page_only_if_some_are_left_out() -> None:
    assert b'"next"' in ask(1, nested=1)
    assert b'"next"' not in ask(1, nested=MESSAGES)


def test_the_link_to_the_next_page_contains_the_token() -> None:
    assert TOKEN.encode() in ask(2, limit=1)


def test_pages_share_no_message() -> None:
    one, other = make_thread(PAGE, 0), make_thread("104000000000002", 0)
    ids = [{message["id"] for message in thread["messages"]["data"]} for thread in (one, other)]
    assert ids[0].isdisjoint(ids[1])

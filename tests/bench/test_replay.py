"""The replay server's answers, as the pipeline reads them."""

from bench.payloads import MESSAGES, make_thread
from bench.replay import TOKEN, Replay, _place
from messenger_pipeline.graph.reading import parse_threads
from messenger_pipeline.sync.parse import messages_of

PAGE = "104000000000001"


def test_a_walk_by_any_limit_meets_each_thread_once_and_every_message_in_it() -> None:
    replay = Replay({PAGE: 25})
    threads, start = [], 0
    while True:
        listing = parse_threads(replay.answer_list(PAGE, start, 10, MESSAGES))
        assert not listing.rejects
        threads += listing.records
        if listing.after is None:
            break
        start = _place(listing.after)
    assert [thread["id"] for thread in threads] == [make_thread(PAGE, n)["id"] for n in range(25)]
    ids = {message["id"] for thread in threads for message in messages_of(thread)}
    assert len(ids) == 25 * MESSAGES


def test_fewer_nested_messages_than_there_are_go_on_and_all_of_them_do_not() -> None:
    replay = Replay({PAGE: 1})
    assert b'"next"' in replay.answer_list(PAGE, 0, 10, 1)
    assert b'"next"' not in replay.answer_list(PAGE, 0, 10, MESSAGES)


def test_the_next_page_is_told_with_a_link_that_embeds_the_token() -> None:
    assert TOKEN.encode() in Replay({PAGE: 2}).answer_list(PAGE, 0, 1, MESSAGES)


def test_pages_share_no_message() -> None:
    one, other = make_thread(PAGE, 0), make_thread("104000000000002", 0)
    ids = [{message["id"] for message in thread["messages"]["data"]} for thread in (one, other)]
    assert ids[0].isdisjoint(ids[1])

"""The header Prefer, read as RFC 7240 asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from messenger_pipeline.settings import MAX_WAIT_SECONDS
from messenger_pipeline.web.preferences import Preferences, read_preferences


def read(*lines: str) -> Preferences:
    raw = [(b"prefer", line.encode("latin-1", "replace")) for line in lines]
    return read_preferences(Headers(raw=raw))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["wait=270"], Preferences(270)),
        (["Wait = 270"], Preferences(270)),
        (["wait=0"], Preferences(0)),
        (["wait=007"], Preferences(7)),
        (['wait="270"'], Preferences(270)),
        (['wait="2\\70"'], Preferences(270)),
        (["wait=270; foo=bar; x"], Preferences(270)),
        (["wait=270 ; foo"], Preferences(270)),
        (["respond-async, wait=10"], Preferences(10, respond_async=True)),
        (["respond-async", "wait=10"], Preferences(10, respond_async=True)),
        (['respond-async=""'], Preferences(respond_async=True)),
        ([",, , wait=5,"], Preferences(5)),
        (['foo="a, wait=9", wait=5'], Preferences(5)),
        (['foo="a\\", wait=9", wait=5'], Preferences(5)),
        (["return=minimal; foo=\"a;b,c\", handling=lenient, wait=5"], Preferences(5)),
        (["wait=1, wait=5"], Preferences(1)),
        (["wait=1", "WAIT=5"], Preferences(1)),
        # Of what is repeated only the first counts, and that one is malformed.
        (["wait=soon, wait=5"], Preferences()),
        # An element that cannot be read hides no other.
        (["=5, wait 5, w@it, wait=7"], Preferences(7)),
        # What is no number of seconds.
        (["wait"], Preferences()),
        (["wait="], Preferences()),
        (['wait=""'], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait=+1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=1e2"], Preferences()),
        (["wait=5 6"], Preferences()),
        (["wait=\xb2"], Preferences()),
        (['wait="5'], Preferences()),
        (["respond-async=yes"], Preferences()),
        (["respond-asynchronously"], Preferences()),
        ([""], Preferences()),
        ([], Preferences()),
        # The longest wait.
        ([f"wait={MAX_WAIT_SECONDS + 1}"], Preferences(MAX_WAIT_SECONDS)),
        (["wait=" + "9" * 9999], Preferences(MAX_WAIT_SECONDS)),
        (["wait=" + "0" * 9999 + "8"], Preferences(8)),
    ],
)  # fmt: skip
def test_what_a_request_prefers(lines: list[str], expected: Preferences) -> None:
    assert read(*lines) == expected


_PIECES = ["wait", "=", "5", ";", ",", " ", "\t", '"', "\\", "respond-async", "é", "\n"]


@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(_PIECES))))
def test_no_text_is_an_error(pieces: list[str]) -> None:
    found = read("".join(pieces))
    assert found.wait is None or 0 <= found.wait <= MAX_WAIT_SECONDS


@given(st.lists(st.text('ab=;, "\\\t'), max_size=6), st.integers(0, MAX_WAIT_SECONDS))
def test_whatever_stands_quoted_before_it_a_wait_is_read(others: list[str], wait: int) -> None:
    quoted = [
        f'x="{one}"' for one in (one.replace("\\", "\\\\").replace('"', '\\"') for one in others)
    ]
    assert read(", ".join([*quoted, f"wait={wait}"])) == Preferences(wait)


@pytest.mark.parametrize("piece", ["; ", '"\\', "a=", '"', ";x = ", "\\", ' "a"'])
def test_hostile_texts_end(piece: str) -> None:
    """With backtracking these would take longer than the universe has lasted."""
    assert read("a" + piece * 30_000 + "\x00") == Preferences()

"""Token files as editors and shells of any system write them."""

import io
import os
from pathlib import Path

import pytest

from messenger_pipeline.commands.token_file import read_token
from messenger_pipeline.errors import UsageError
from tests.conftest import Simulated
from tests.test_cli import Run, ended, environment, run
from tests.walking import Simulate

__all__ = ["environment", "run"]  # fixtures

TOKEN = "EAAGm0PX4ZCpsBAKZBtoken|x-y_z"


@pytest.mark.parametrize(
    "content",
    [
        f"{TOKEN}".encode(),
        f"{TOKEN}\r\n".encode(),
        f"  {TOKEN} \t\n\n".encode(),
        f"\n \r\n\n{TOKEN}\nmore\n".encode(),
        f"\n{TOKEN}\n".encode("utf-8-sig"),
        f"{TOKEN}\r\n".encode("utf-16"),
        f"\r\n\r\n  {TOKEN} \r\n".encode("utf-16"),
        b"\xff\xfe" + f"{TOKEN}\n".encode("utf-16-le"),
        b"\xfe\xff" + f"\n{TOKEN}\r\n".encode("utf-16-be"),
        f"\x0c\u2028{TOKEN}\u2029".encode(),
        f"{TOKEN}\r".encode(),
    ],
)
def test_the_first_line_that_is_not_blank_is_the_token(content: bytes) -> None:
    assert read_token(io.BytesIO(content)) == TOKEN


@pytest.mark.parametrize(
    "content",
    [
        TOKEN.encode("utf-16-le"),  # without a mark
        b"\xff\xfe" + TOKEN.encode("utf-16-le")[:-1],
        b"\xff\xfe\x00\xd8\n\x00",
        b"EAA\xe9secret",
        "EAAsecretё".encode(),
        b"EAAsecret EAAsecret",
        b"\x00\x01\x02",
        b"{\\rtf1 EAAsecret}",
    ],
)
def test_what_is_no_token_is_one_sentence_without_it(content: bytes) -> None:
    with pytest.raises(UsageError, match="save the file as plain text") as caught:
        read_token(io.BytesIO(content))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n\r\n ", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_a_missing_token(content: bytes) -> None:
    with pytest.raises(UsageError, match="No token given"):
        read_token(io.BytesIO(content))


def test_a_pipe_that_stays_open_is_read_no_further_than_the_token() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.write(writing, f"\n{TOKEN}\n".encode())
        assert read_token(pipe) == TOKEN
        os.close(writing)


def test_endless_blank_lines_end() -> None:
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(UsageError):
        read_token(zeros)


def test_a_token_in_utf_16_and_urls_of_other_tools_do_for_a_sync(
    run: Run, simulate: Simulate, tmp_path: Path, environment: dict[str, str]
) -> None:
    simulated: Simulated = simulate()
    page = simulated.page
    (tmp_path / "token.txt").write_bytes(f"\r\n{page.token}\r\n".encode("utf-16"))
    mine = {"MESSENGER_GRAPH_URL": simulated.url, "MESSENGER_HOME": str(tmp_path / "a home")}
    for name in ("MESSENGER_DATABASE_URL", "DAGSTER_PG_URL"):
        url = environment[name].replace("postgresql://", "postgres://")
        mark = "&" if "?" in url else "?"
        mine[name] = f"{url}{mark}pgbouncer=true&connection_limit=5&schema=public"
    ended(run("pages", "add", page.id, "--token-file", "token.txt", **mine), 0, "its token works")
    ended(run("sync", page.id, **mine), 0, "full sync complete")


def test_a_token_file_that_cannot_be_read_is_one_sentence(run: Run, tmp_path: Path) -> None:
    for file in ("nowhere.txt", str(tmp_path), "/proc/self/mem"):
        result = run("pages", "add", "12", "--token-file", file)
        ended(result, 2, "Error: ")

"""No command ends in a traceback, whatever fails: one sentence, and a file with the details."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from messenger_pipeline import cli as command_line
from messenger_pipeline.commands.group import cli
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.project import PROJECT
from messenger_pipeline.redaction import kept_secret
from tests.server_folder import server_folder
from tests.test_cli import Run, ended, environment, run
from tests.test_docs import COMMANDS

__all__ = ["environment", "run"]  # fixtures

SECRET = "EAAsecretsecret"


class NeverSeenError(Exception):
    pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.setenv("MESSENGER_HOME", str(home))
    return home


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Runs `main` in this process. Returns its exit code."""
    handlers = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr("logging.lastResort", None)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["messenger-pipeline", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return code or 0

    yield run
    for which, handler in handlers.items():
        signal.signal(which, handler)


def raising(error: BaseException) -> Callable[..., None]:
    def callback(**_: object) -> None:
        raise error

    return callback


def python(code: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run code in a process whose commands are ours."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_an_unforeseen_error_in_any_command_is_one_sentence_and_a_file(
    name: str,
    in_process: Callable[..., int],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = NeverSeenError(f"it was\n{SECRET} at postgresql://me:hunter2@host/d")
    monkeypatch.setattr(COMMANDS[name], "callback", raising(error))
    monkeypatch.setattr(COMMANDS[name], "params", [])
    with kept_secret(SECRET):
        assert in_process(*name.split()) == 1
    [details] = home.glob("logs/error-*.log")
    assert capsys.readouterr().err == (
        "Error: This command ended with an unexpected error: NeverSeenError: it was *** at"
        f" postgresql://***@host/d. The details are in {details}; please report them.\n"
    )
    kept = details.read_text()
    assert "Traceback" in kept
    assert f"command: {name}\n" in kept
    assert SECRET not in kept
    assert "hunter2" not in kept
    assert details.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), MemoryError(), GeneratorExit(), BaseException("x")]
)
def test_every_kind_of_exception_is_caught(
    error: BaseException,
    in_process: Callable[..., int],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli.commands["key"], "callback", raising(error))
    assert in_process("key") == 1
    assert f"unexpected error: {type(error).__name__}" in capsys.readouterr().err
    assert len([*home.glob("logs/error-*.log")]) == 1


def test_an_error_in_a_callback_of_an_option_is_caught(
    in_process: Callable[..., int],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    option = next(one for one in cli.commands["simulate"].params if one.name == "list_faults")

    def fails(*_: object) -> None:
        raise NeverSeenError

    monkeypatch.setattr(option, "callback", fails)
    assert in_process("simulate", "--list-faults") == 1
    assert "NeverSeenError. The details" in capsys.readouterr().err


def test_an_error_at_import_is_caught(
    in_process: Callable[..., int],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "messenger_pipeline.commands.group", None)
    assert in_process("status") == 1
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_an_error_in_settings_that_cannot_be_imported_is_caught(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['messenger_pipeline.settings'] = None;"
        "from messenger_pipeline.cli import main; sys.argv[1:] = ['key']; main()"
    )
    result = python(code, tmp_path)
    ended(result, 1, "ModuleNotFoundError")
    [path] = [word for word in result.stderr.split() if word.endswith(".log;")]
    details = Path(path.rstrip(";"))
    assert "Traceback" in details.read_text()
    details.unlink()


def test_details_that_cannot_be_written_do_not_hide_the_error(home: Path) -> None:
    """As on a full disk: no file may grow beyond 0 bytes."""
    code = """
import resource, sys
from messenger_pipeline.commands.group import cli
from messenger_pipeline.cli import main

def fill_the_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    1 / 0

cli.commands["key"].callback = fill_the_disk
sys.argv[1:] = ["key"]
main()
"""
    result = python(code, home)
    ended(result, 1, "ZeroDivisionError: division by zero. Its details could not be written")
    assert not [*home.glob("logs/error-*.log")]


def test_a_home_that_is_no_folder_leaves_the_details_elsewhere(
    in_process: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MESSENGER_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli.commands["key"], "callback", raising(NeverSeenError()))
    assert in_process("key") == 1
    assert len([*tmp_path.glob("messenger-pipeline-error-*.log")]) == 1


def test_a_command_that_fails_again_and_again_keeps_a_hundred_files(
    in_process: Callable[..., int], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "logs").mkdir()
    for number in range(150):
        (home / "logs" / f"error-19990101T000000{number:06}-1.log").touch()
    monkeypatch.setattr(cli.commands["key"], "callback", raising(NeverSeenError()))
    in_process("key")
    kept = sorted(home.glob("logs/error-*.log"))
    assert len(kept) == 100
    assert kept[0].name.startswith("error-19990101T000000000051")
    assert kept[-1].name.startswith("error-20")


def test_an_error_in_a_thread_is_one_warning(home: Path) -> None:
    code = """
import sys, threading
from messenger_pipeline.commands.group import cli
from messenger_pipeline.cli import main

def work():
    thread = threading.Thread(target=lambda: 1 / 0, name="watcher")
    thread.start()
    thread.join()

cli.commands["key"].callback = work
sys.argv[1:] = ["key"]
main()
"""
    result = python(code, home)
    ended(result, 0)
    assert result.stderr.startswith(
        "Warning: A part of this command (watcher) ended with an unexpected error:"
        " ZeroDivisionError: division by zero. The details are in"
    )
    assert result.stderr.count("\n") == 1


def test_ctrl_c_is_a_word_and_130(
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli.commands["key"], "callback", raising(KeyboardInterrupt()))
    assert in_process("key") == 130
    assert capsys.readouterr().err.strip() == "Error: Interrupted."


# -- Output -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["simulate --list-faults", "key", "--help", "db --help"])
@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        ("| head -c 1 > /dev/null; exit ${PIPESTATUS[0]}", None, ""),
        ("> /dev/full", 1, "The output cannot be written: No space left on device."),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("2> /dev/full", 0, ""),
    ],
)
def test_output_that_nobody_reads_is_no_traceback(
    tmp_path: Path, arguments: str, redirection: str, code: int | None, words: str
) -> None:
    result = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m messenger_pipeline.cli {arguments} {redirection}"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode in ((0, 1) if code is None else (code,)), result.stderr
    assert result.stderr.strip() == (f"Error: {words}" if words else "")


def test_text_that_the_terminal_cannot_show_is_no_error(run: Run, database: Database) -> None:
    pages.register_page(
        database, "10", name="Café 日本", user_id=None, platform="messenger", token_encrypted="X"
    )
    for command in ("pages", "list"), ("status",), ("status", "--json"):
        ended(run(*command, PYTHONIOENCODING="ascii", LC_ALL="C"), 0, "10")


# -- Questions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ("n\n", "Nothing was changed."),
        ("\n", "Nothing was changed."),
        ("", "Nothing was changed: there was no answer. --yes answers the question."),
    ],
)
def test_a_question_that_is_not_answered_with_yes_changes_nothing_and_is_no_error(
    run: Run, answer: str, printed: str
) -> None:
    result = run("db", "downgrade", input=answer)
    assert result.returncode == 1
    assert result.stdout.endswith(f"{printed}\n")
    assert result.stderr == ""


# -- The home -----------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the system user of an embedded server can enter; pytest's may be closed."""
    with server_folder() as folder:
        yield folder


@pytest.mark.large
def test_a_home_with_a_blank_in_its_path_works(run: Run, folder: Path) -> None:
    mine = {
        "MESSENGER_HOME": str(folder / "my own: home & data"),
        "MESSENGER_DATABASE_URL": "", "DAGSTER_PG_URL": "", "MESSENGER_TOKEN_KEY": "",
    }  # fmt: skip
    ended(run("db", "upgrade", **mine), 0, "Schema at")
    ended(run("psql", "-Atc", "select 40 + 2", **mine), 0, "42")
    # With Dagster's home and database in it.
    ended(run("sync", "1", **mine), 2, "Page 1 is not in the registry")


@pytest.mark.large
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("postgres/postgresql.conf", "pg_ctl ended with exit code 1: pg_ctl: could not start"),
        ("postgres/.handle_pids.json", "does not start"),
        ("token.key", "does not hold a key"),
        ("postgres/PG_VERSION", "does not start"),
    ],
)
def test_an_embedded_server_that_does_not_start_is_one_sentence(
    run: Run, folder: Path, damage: str, words: str
) -> None:
    mine = {
        "MESSENGER_HOME": str(folder / "home"), "MESSENGER_DATABASE_URL": "",
        "DAGSTER_PG_URL": "", "MESSENGER_TOKEN_KEY": "",
    }  # fmt: skip
    ended(run("db", "upgrade", **mine), 0)
    (folder / "home" / damage).write_text("nonsense = nonsense = 1\n")
    result = run("pages", "add", "12", input="EAAtoken", **mine)
    assert result.stderr.count("\n") == 1, result.stderr
    ended(result, 2 if damage == "token.key" else 1, words)


def test_click_errors_keep_their_code(in_process: Callable[..., int]) -> None:
    assert in_process("sync") == click.UsageError.exit_code

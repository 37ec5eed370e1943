"""The wheel, installed where there is no checkout."""

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.test_stack import PATIENCE, free_port, processes_of

CHECKOUT = Path(__file__).parents[2]
WHERE = """
import graph_simulator, messenger_pipeline
print(graph_simulator.__file__, messenger_pipeline.__file__)
"""


def run(*command: str, folder: Path) -> str:
    """Output of a command that must succeed, in `folder`, without the checkout in its paths."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def installed() -> Iterator[Path]:
    """A virtual environment with our wheel, which sees the dependencies of this one. Nothing is
    downloaded."""
    with tempfile.TemporaryDirectory(prefix="mpw") as name:
        folder = Path(name)
        folder.chmod(0o755)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", name, folder=CHECKOUT)
        [wheel] = folder.glob("*.whl")
        environment = folder / "venv"
        venv.create(environment, symlinks=True)
        [packages] = environment.glob("lib/python*/site-packages")
        # A .pth file in a folder that is added by one is not read: an editable install stays out.
        seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (packages / "dependencies.pth").write_text("\n".join(seen) + "\n")
        run(
            sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"),
            "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed",
            "--disable-pip-version-check", str(wheel), folder=folder,
        )  # fmt: skip
        yield environment


@pytest.mark.large
def test_an_installed_wheel_upgrades_a_database_and_runs_the_demo(installed: Path) -> None:
    """In an empty folder: the wheel brings the SQL files, Dagster's configuration and the
    simulator."""
    command = str(installed / "bin" / "messenger-pipeline")
    with tempfile.TemporaryDirectory(prefix="mp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        where = run(str(installed / "bin" / "python"), "-c", WHERE, folder=folder).split()
        assert all(Path(path).is_relative_to(installed) for path in where), where
        assert "functions and views are current" in run(command, "db", "upgrade", folder=folder)
        shown = run(
            command, "demo", "--conversations", "50", "--pages", "1", "--ui-port", free_port(),
            folder=folder,
        )  # fmt: skip
        assert "exactly once" in shown
        assert processes_of(folder) == []

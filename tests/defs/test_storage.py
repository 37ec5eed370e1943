"""Dagster's storage, and the commands that load the definitions in a checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster_postgres import PostgresRunStorage

from messenger_pipeline.defs.storage import PostgresStorage
from messenger_pipeline.project import PROJECT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the project's files for Dagster, and no .env."""
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    (tmp_path / "messenger_pipeline").symlink_to(PROJECT / "messenger_pipeline")
    return tmp_path


def run(
    checkout: Path, program: str, *arguments: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER_", "MESSENGER_"))}
    return subprocess.run(
        [str(Path(sys.executable).parent / program), *arguments],
        env={**kept, **settings}, cwd=checkout, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


def test_the_instance_of_dagster_yaml_stores_in_postgresql(instance: dg.DagsterInstance) -> None:
    storage = instance.get_ref().storage_data
    assert storage is not None
    assert storage.class_name == PostgresStorage.__name__
    assert isinstance(instance.run_storage, PostgresRunStorage)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "The setting DAGSTER_PG_URL is missing: set it to the URL"),
        (
            {"DAGSTER_PG_URL": "sqlite:///hunter2"},
            "The setting DAGSTER_PG_URL is wrong: give a",
        ),
    ],
)
def test_dagster_dev_without_a_storage_url_ends_with_the_remedy_in_one_sentence(
    checkout: Path, settings: dict[str, str], sentence: str
) -> None:
    ended = run(checkout, "dagster", "dev", "-w", "workspace.yaml", **settings)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"Error: {sentence}")
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("dagster definitions validate", "All code locations passed validation"),
        ("dg check defs", "All definitions loaded successfully"),
        ("dg list defs --json", "messenger_conversations"),
    ],
)
def test_the_definitions_load_by_habit_in_a_checkout_without_any_setting(
    checkout: Path, command: str, said: str
) -> None:
    ended = run(checkout, *command.split())
    assert ended.returncode == 0, ended.stderr
    assert said in ended.stderr + ended.stdout


def test_dg_loads_the_same_code_location_as_the_workspace() -> None:
    [location] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    tool = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    project = tool["dg"]["project"]
    assert tool["dg"]["directory_type"] == "project"
    assert location["python_module"] == {
        "module_name": project["code_location_target_module"],
        "location_name": project["code_location_name"],
    }
    assert tool["dagster"] == {
        "module_name": project["code_location_target_module"],
        "code_location_name": project["code_location_name"],
    }

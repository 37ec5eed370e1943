"""The documents name what exists, and describe every command and setting."""

import re
from pathlib import Path

import click
import pytest

from messenger_pipeline.commands.group import cli
from messenger_pipeline.settings import Settings
from tools.command_reference import help_block, list_commands

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    for path, name in re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", text):
        assert (PROJECT / path).exists(), path
        if name:
            assert f"def {name}(" in (PROJECT / path).read_text(), name
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (document.parent / link).exists(), link


def test_each_flaw_of_the_replaced_application_is_answered() -> None:
    lines = (PROJECT / "docs" / "flaws.md").read_text().splitlines()
    numbers = [int(line.split("|")[1]) for line in lines if re.match(r"\| \d", line)]
    assert numbers == list(range(1, 24))


COMMANDS = dict(list_commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_with_its_current_help(name: str) -> None:
    """`python -m tools.command_reference` brings an outdated docs/cli.md up to date."""
    assert help_block(name, COMMANDS[name]) in (PROJECT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.get_short_help_str(limit=65).endswith(".")
    assert "..." not in command.get_short_help_str(limit=65)
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


def test_every_group_has_help() -> None:
    groups = [one for one in cli.commands.values() if isinstance(one, click.Group)]
    assert groups
    assert all(one.help for one in groups)


def test_the_reference_names_no_command_that_does_not_exist() -> None:
    text = (PROJECT / "docs" / "cli.md").read_text()
    assert set(re.findall(r"^\$ messenger-pipeline (.+) --help$", text, re.MULTILINE)) == {
        *COMMANDS
    }


def test_every_setting_is_described() -> None:
    text = (PROJECT / "docs" / "settings.md").read_text()
    described = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    names = {
        name.upper() if name.startswith("dagster") else f"MESSENGER_{name.upper()}"
        for name in Settings.model_fields
    }
    assert described == names

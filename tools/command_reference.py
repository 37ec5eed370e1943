"""Writes the output of each command's `--help` into docs/cli.md: python -m tools.command_reference.

The document keeps its prose. Each block that begins with "$ messenger-pipeline … --help" is
replaced.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from messenger_pipeline.commands.group import cli

DOCUMENT = Path(__file__).parents[1] / "docs" / "cli.md"
NAME = "messenger-pipeline"
_BLOCK = re.compile(rf"```text\n\$ {NAME}(?P<command>[^\n]*) --help\n.*?```", re.DOTALL)


def list_commands(
    group: click.Group = cli, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, and its name with its groups', such as `db upgrade`."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from list_commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


def help_block(name: str, command: click.Command) -> str:
    """The command's help as a block of the document."""
    context = click.Context(
        command, info_name=f"{NAME} {name}", terminal_width=100, **cli.context_settings
    )
    return f"```text\n$ {NAME} {name} --help\n{command.get_help(context)}\n```"


def main() -> None:
    commands = dict(list_commands())

    def current(found: re.Match[str]) -> str:
        name = found["command"].strip()
        return help_block(name, commands[name])

    DOCUMENT.write_text(_BLOCK.sub(current, DOCUMENT.read_text()))


if __name__ == "__main__":
    main()

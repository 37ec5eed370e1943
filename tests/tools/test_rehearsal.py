"""`make rehearsal`, which docs/migration.md has a team begin with."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from graph_simulator import World
from messenger_pipeline.commands.group import cli
from messenger_pipeline.db.embedded import database_url
from messenger_pipeline.errors import PipelineError
from tools.rehearsal.rehearse import Rehearsal, Run, run_process
from tools.replaced_application import Shape


def run_here(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command in this process, which saves the seconds of its start."""
    result = CliRunner().invoke(cli, arguments, env=environment)
    if isinstance(result.exception, PipelineError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.output


def rehearse(
    server: str, url: str, home: Path, world: World, shape: Shape, run: Run = run_process
) -> dict[str, str]:
    dagster = database_url(server, url.partition("?")[0].rpartition("/")[2] + "_dagster")
    return dict(Rehearsal(url, dagster, str(home), world, shape, run_command=run).run())


def test_a_rehearsal_goes_through_every_step_and_ends_as_it_began(
    server: str, empty_url: str, tmp_path: Path
) -> None:
    world = World(pages=1, conversations=20)
    report = rehearse(server, empty_url, tmp_path, world, Shape(), run_here)
    [page] = world.pages.values()
    messages = len(list(world.truth(page)))
    assert report["synced and verified"].startswith(f"{messages:,} messages")
    assert report["schema after the rollback"].startswith("the same ")


@pytest.mark.large
@pytest.mark.parametrize(
    "shape",
    [
        Shape(),
        Shape(age="before", ids="bigint", page_id="reference"),
        Shape(age="before", ids="integer", users="text", constraint="none", page_id="number"),
    ],
    ids=lambda shape: f"{shape.age}-{shape.ids}",
)
def test_larger_rehearsals_end_as_they_began(
    server: str, empty_url: str, tmp_path: Path, shape: Shape
) -> None:
    rehearse(server, empty_url, tmp_path, World(pages=3, conversations=1_000), shape)

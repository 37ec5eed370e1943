"""The SQL of a plan removes each difference that the plan does not list as a comment."""

import random
import subprocess

import psycopg
import pytest

from messenger_pipeline import schema_diff
from messenger_pipeline.db.catalog import CatalogReader
from messenger_pipeline.db.embedded import BUNDLED_PSQL
from messenger_pipeline.schema_diff.step import Step
from tests.schema_diff.conftest import Clone
from tests.schema_diff.worlds import CHANGES


def planned(here: str, there: str) -> tuple[list[schema_diff.Difference], list[Step], str]:
    """The differences, the steps, and the script that `db align --plan` prints."""
    with CatalogReader(here, "public", "here") as mine, CatalogReader(there, "public", "it") as it:
        a, b = mine.read(), it.read()
        differences = schema_diff.compare(a, b, whole=True, comments=True)
        queries = schema_diff.checks_of(differences, a, b)
        counts = {query: mine.count(query) for query in queries}
    steps = schema_diff.plan(differences, a, b, counts)
    script = "\n".join(schema_diff.write_script(steps, a.server, b.server, []))
    return differences, steps, script


def run_script(url: str, script: str) -> None:
    done = subprocess.run(
        [str(BUNDLED_PSQL), url, "-qX", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        input=script, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{script}"


def keys(differences: list[schema_diff.Difference]) -> set[schema_diff.Key]:
    return {one.key for one in differences}


def check_round_trip(here: str, there: str) -> set[schema_diff.Key]:
    """Align, and check that only what the plan does not do is left. Returns the differences."""
    differences, steps, script = planned(here, there)
    run_script(here, script)
    left = planned(here, there)[0]
    refused = {step.key for step in steps if step.reason is not None}
    # What is on a table that is not made is missing with it.
    within = {one.key for one in differences if one.within in refused}
    # A new partition has the columns that its parent has only here.
    inherited = {
        one.key for one in left
        if one.key.kind == "column" and one.entry["_inherited"]
        and any(key.kind == "column" and key.name == one.key.name for key in refused)
    }  # fmt: skip
    assert keys(left) <= refused | within | inherited, script
    return keys(differences)


def changed(url: str, *names: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute(CHANGES[name].encode())
    return url


def test_two_equal_databases_have_no_differences(clone: Clone) -> None:
    assert planned(clone(), clone())[0] == []


@pytest.mark.large
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("direction", ["there", "here"])
def test_each_change_is_seen_and_aligned_or_listed(clone: Clone, name: str, direction: str) -> None:
    plain, other = clone(), changed(clone(), name)
    here, there = (plain, other) if direction == "there" else (other, plain)
    assert check_round_trip(here, there)


@pytest.mark.parametrize("seed", [1, 2])
def test_changes_on_both_sides_are_aligned_or_listed(clone: Clone, seed: int) -> None:
    check_many(clone, seed)


@pytest.mark.large
@pytest.mark.parametrize("seed", range(3, 43))
def test_more_changes_on_both_sides_are_aligned_or_listed(clone: Clone, seed: int) -> None:
    check_many(clone, seed)


def check_many(clone: Clone, seed: int) -> None:
    """Random changes to both databases: those that do not fit together are left out."""
    chosen = random.Random(seed)
    urls = clone(), clone()
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            for name in chosen.sample([*CHANGES], chosen.randint(2, 25)):
                try:
                    with connection.transaction():
                        connection.execute(CHANGES[name].encode())
                except psycopg.Error:
                    continue
    assert check_round_trip(*urls)

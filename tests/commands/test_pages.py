"""pages add|remove and sync, where a page has two inboxes."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from messenger_pipeline.commands.group import cli
from messenger_pipeline.db.pages import list_pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import PipelineError
from messenger_pipeline.graph.client import GraphClient
from messenger_pipeline.vault import new_key
from tests.conftest import Simulated
from tests.walking import Simulate


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and its output or its error."""

    exit_code: int
    output: str


Invoke = Callable[..., Ended]


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    return simulate(conversations=6, pages=2, instagram=1)


@pytest.fixture
def invoke(url: str, simulated: Simulated, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("MESSENGER_DATABASE_URL", url)
    monkeypatch.setenv("MESSENGER_GRAPH_URL", simulated.url)
    monkeypatch.setenv("MESSENGER_TOKEN_KEY", new_key())

    def invoke(*arguments: str, token: str | None = None) -> Ended:
        result = CliRunner().invoke(cli, [*arguments], input=token)
        if isinstance(result.exception, PipelineError):
            return Ended(result.exception.exit_code, str(result.exception))
        return Ended(result.exit_code, result.output)

    return invoke


def registered(database: Database) -> list[tuple[str, str, str]]:
    return [(one.facebook_page_id, one.platform, one.graph_id) for one in list_pages(database)]


def test_an_instagram_inbox_is_registered_by_its_pages_id_or_its_own(
    invoke: Invoke, simulated: Simulated, database: Database
) -> None:
    page, _, account = simulated.pages
    for typed in (page.id, account.id):
        added = invoke("pages", "add", typed, "--platform", "instagram", token=page.token)
        assert added.exit_code == 0, added.output
        assert (
            f"Instagram account {account.id} (user.{account.id}) of page {page.id}" in added.output
        )
        assert registered(database) == [(account.id, "instagram", page.id)]


def test_the_two_inboxes_of_a_page_stand_side_by_side(
    invoke: Invoke, simulated: Simulated, database: Database
) -> None:
    page, _, account = simulated.pages
    invoke("pages", "add", page.id, token=page.token)
    invoke("pages", "add", page.id, "--platform", "instagram", token=page.token)
    both = [(page.id, "messenger", page.id), (account.id, "instagram", page.id)]
    assert registered(database) == both
    again = invoke("pages", "add", page.id, token=page.token)
    assert again.exit_code == 2
    assert "several inboxes" in again.output
    again = invoke("pages", "add", page.id, "--platform", "messenger", token=page.token)
    assert f"instagram inbox ({account.id}) keeps the token" in again.output
    assert registered(database) == both


def test_a_page_without_an_instagram_account_is_refused_with_the_remedy(
    invoke: Invoke, simulated: Simulated, database: Database
) -> None:
    other = simulated.pages[1]
    refused = invoke("pages", "add", other.id, "--platform", "instagram", token=other.token)
    assert refused.exit_code == 5
    assert f"Page {other.id} ({other.name}) has no Instagram professional account" in refused.output
    assert registered(database) == []


def test_an_account_that_meta_does_not_name_is_found_in_its_inbox(
    invoke: Invoke, simulated: Simulated, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _, account = simulated.pages
    real = GraphClient.fetch_page
    monkeypatch.setattr(
        GraphClient, "fetch_page", lambda self, page_id, *, instagram=False: real(self, page_id)
    )
    added = invoke("pages", "add", page.id, "--platform", "instagram", token=page.token)
    assert added.exit_code == 0, added.output
    assert registered(database) == [(account.id, "instagram", page.id)]


def test_a_token_of_another_page_registers_no_instagram_account(
    invoke: Invoke, simulated: Simulated, database: Database
) -> None:
    page, other, _ = simulated.pages
    refused = invoke("pages", "add", page.id, "--platform", "instagram", token=other.token)
    assert refused.exit_code == 5
    assert "gives no access" in refused.output
    assert registered(database) == []


def test_a_page_id_that_stands_for_two_inboxes_removes_neither(
    invoke: Invoke, simulated: Simulated, database: Database
) -> None:
    page, _, account = simulated.pages
    invoke("pages", "add", page.id, token=page.token)
    invoke("pages", "add", page.id, "--platform", "instagram", token=page.token)
    for command in (["pages", "remove"], ["sync"]):
        refused = invoke(*command, page.id)
        assert refused.exit_code == 2, refused.output
        assert f"messenger ({page.id}), instagram ({account.id})" in refused.output
    assert len(registered(database)) == 2
    removed = invoke("pages", "remove", page.id, "--platform", "instagram")
    assert f"Page {account.id} is removed" in removed.output
    assert registered(database) == [(page.id, "messenger", page.id)]
    assert invoke("pages", "remove", page.id).exit_code == 0

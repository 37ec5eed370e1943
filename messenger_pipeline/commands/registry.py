"""pages: the registry of pages; status: syncs, pages and the webhook inbox."""

from typing import BinaryIO

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline import runtime
from messenger_pipeline.commands.account import find_account
from messenger_pipeline.commands.console import open_registry, out, platform_option, shown
from messenger_pipeline.commands.token_file import read_token
from messenger_pipeline.db import pages
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import UsageError
from messenger_pipeline.redaction import remember_secret
from messenger_pipeline.settings import load_settings


@click.group("pages")
def pages_group() -> None:
    """Register, list and remove pages."""


@pages_group.command("add")
@click.argument("page_id")
@click.option("--name", help="The page's name. Default: the name that Meta returns.")
@click.option("--user-id", help="The page's owner in your application.")
@click.option(
    "--platform",
    type=click.Choice(["messenger", "instagram"]),
    help="The inbox. Default: messenger for a new page; that of a registered one.",
)
@click.option(
    "--token-file",
    type=click.File("rb"),
    default="-",
    help="A file with the page access token. Default: standard input.",
)
def pages_add(
    page_id: str, name: str | None, user_id: str | None, platform: str | None, token_file: BinaryIO
) -> None:
    """Register an inbox, or replace its token.

    PAGE_ID is the Facebook page's id, also for its Instagram account: with --platform instagram
    the account is looked up. A page with both inboxes is registered twice. A new token makes an
    inbox active again; the page's other inbox keeps its own. The token is checked with Meta and
    stored encrypted.
    """
    if not page_id.isdigit():
        # The error does not repeat it: it may be the token.
        raise UsageError("PAGE_ID must be Facebook's id of the page: digits only.")
    if token_file.isatty():
        click.echo(f"Type the page access token of {page_id}, then Enter: ", nl=False, err=True)
    token = read_token(token_file)
    remember_secret(token)
    settings = load_settings()
    with open_registry() as database:
        vault = runtime.token_vault(settings)
        found = pages.find_pages(database, page_id, platform)
        known = pages.find_page(database, page_id, platform) if found else None
        platform = platform or (known.platform if known else "messenger")
        account = find_account(settings, known.graph_id if known else page_id, platform, token)
        page = pages.register_page(
            database,
            account.page_id,
            name=name or (known.name if known else None) or account.name,
            user_id=user_id,
            platform=platform,
            token_encrypted=vault.encrypt(token),
            graph_id=account.graph_id if account.graph_id != account.page_id else None,
            username=account.username,
        )
        others = _other_inboxes(database, page)
    if platform == "instagram":
        click.echo(
            f"Instagram account {page.facebook_page_id} ({page.username or page.name}) of page"
            f" {page.graph_id} is registered; its token works."
        )
    else:
        click.echo(f"Page {page.facebook_page_id} ({page.name}) is registered; its token works.")
    for other in others:
        click.echo(
            f"The page's {other.platform} inbox ({other.facebook_page_id}) keeps the token that it"
            " had."
        )


def _other_inboxes(database: Database, page: pages.PageRecord) -> list[pages.PageRecord]:
    found = pages.find_pages(database, page.graph_id)
    return [other for other in found if other.facebook_page_id != page.facebook_page_id]


@pages_group.command("list")
def pages_list() -> None:
    """Show the registered pages, with their status and next sync."""
    with open_registry() as database:
        found = pages.list_pages(database)
    table = Table(box=None)
    for name in ("page", "name", "platform", "status", "last synced", "next sync", "reason"):
        table.add_column(name, no_wrap=name in ("page", "platform", "status"))
    for page in found:
        table.add_row(
            page.facebook_page_id,
            page.name,
            page.platform,
            page.status,
            shown(page.last_synced_at),
            shown(page.next_sync_at if page.status == "active" else None),
            page.status_reason,
        )
    out.print(table if found else "No page is registered. `messenger-pipeline pages add` adds one.")


@pages_group.command("remove")
@click.argument("page_id")
@platform_option
def pages_remove(page_id: str, platform: str | None) -> None:
    """Stop syncing a page and delete its token. Its conversations are kept."""
    with open_registry() as database:
        page = pages.find_page(database, page_id, platform)
        pages.set_page_status(database, page.facebook_page_id, "removed")
    click.echo(
        f"Page {page.facebook_page_id} is removed from the registry; its conversations are kept."
    )


_ACTIVE = ("page_id", "platform", "mode", "state", "total_synced", "events_created", "open_gaps",
           "locked_by", "not_before", "waiting_for", "last_error")  # fmt: skip
_STATISTICS = ("page_id", "page_name", "platform", "status", "last_synced_at", "conversations",
               "messages", "completed_sessions", "open_sessions", "open_gaps",
               "quarantined")  # fmt: skip

_BACKLOG = ("state", "page_id", "deliveries", "oldest", "newest", "last_error")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every column.")
def status(as_json: bool) -> None:
    """Show open syncs, pages and the webhook inbox."""
    with open_registry() as database:
        views = {
            "active_syncs": _ACTIVE, "sync_statistics": _STATISTICS, "webhook_backlog": _BACKLOG
        }  # fmt: skip
        found = {view: database.rows(view) for view in views}
    if as_json:
        click.echo(to_json(found))
        return
    for view, columns in views.items():
        table = Table(
            *columns, title=f"{view}: {len(found[view]):,}", title_justify="left", box=None
        )
        for row in found[view]:
            table.add_row(*(shown(row[column]) for column in columns))
        out.print(table)
